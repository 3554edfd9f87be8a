"""`PublicRepository` reads names, URIs and ARNs of ECR Public, and is a value like `Repository`."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from ecr_layer_client import (
    InvalidInputError,
    LayerAvailability,
    LayerCheckResult,
    LayerCheckResults,
    PublicRepository,
    Repository,
)
from ecr_layer_client._transport.error_responses import arn_of

ACCOUNT = "123456789012"
ARN = f"arn:aws:ecr-public::{ACCOUNT}:repository"
APP = PublicRepository(name="images/app", registry_id="team")
NAME_RULE = "is not a valid repository name of ECR Public: use 2 to 205 characters"
ALIAS_RULE = (
    "is not a valid registry of ECR Public: use its alias, 2 to 50 characters (a lower-case "
    "letter, at least one more lower-case letter or digit, and then more of them, also after a "
    "single '.', '_' or '-'), or the 12 digits of its account"
)
ELSEWHERE = "is a repository of ECR: use ECRLayerClient"
IN_ECR_PUBLIC = (
    "is a repository of ECR Public: check layers and push with ECRPublicLayerClient, and pull with "
    "docker, skopeo or crane"
)
RESULT = LayerCheckResult.of(APP, {"sha256:aa": LayerAvailability.AVAILABLE})


def refusal_of(text: Any) -> str:
    """Return the message about a text that is refused."""
    with pytest.raises(InvalidInputError) as caught:
        PublicRepository.coerce(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "name", "registry_id"),
    [
        ("public.ecr.aws/team/images/app", "images/app", "team"),
        ("ecr-public.aws.com/team/app", "app", "team"),
        ("gallery.ecr.aws/team/app", "app", "team"),
        ("PUBLIC.ECR.AWS/team/app", "app", "team"),
        (f"public.ecr.aws/{ACCOUNT}/app", "app", ACCOUNT),
        (f"{ARN}/team/app", "team/app", ACCOUNT),
        ("team/app", "team/app", None),
        ("a" * 205, "a" * 205, None),
        (f"public.ecr.aws/a{'b' * 49}/app", "app", f"a{'b' * 49}"),
    ],
    ids=lambda value: None if value is None else value[:40],
)
def test_a_repository_of_ecr_public(text: str, name: str, registry_id: str | None) -> None:
    """A name, a URI and an ARN of ECR Public are read. The registry is an alias or an account."""
    assert PublicRepository.parse(text) == PublicRepository(name=name, registry_id=registry_id)


NO_PORT = "begins with a host and a port, but an ECR registry has no port"
ADVICE = {
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app": ELSEWHERE,
    f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/app": ELSEWHERE,
    "public.ecr.aws/team": "names a registry but no repository: append '/' and the name of the "
    "repository",
    "public.ecr.aws": "names a registry but no repository: append '/' and the name of the "
    "repository",
    "public.ecr.aws/team/app:v1": "names more than a repository: leave out the tag, and use "
    "'public.ecr.aws/team/app'",
    "https://public.ecr.aws/team/app": "names more than a repository: leave out the scheme, and "
    "use 'public.ecr.aws/team/app'",
    "public.ecr.aws:443/team/app": f"{NO_PORT}: leave out the port, and use "
    "'public.ecr.aws/team/app'",
    f"arn:aws:ecr-public:us-east-1:{ACCOUNT}:repository/app": "has a Region, but ARNs of ECR "
    f"Public have none: leave out the Region, and use '{ARN}/app'",
    "arn:aws:ecr-public::1234:repository/app": "is not the ARN of an ECR Public repository: use "
    "'arn:aws:ecr-public::ACCOUNT:repository/NAME'",
}


@pytest.mark.parametrize("text", ADVICE)
def test_refused_with_advice(text: str) -> None:
    """A text that is not a repository of ECR Public is refused with what to write instead."""
    assert refusal_of(text) == f"'{text}' {ADVICE[text]}"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        *((name, NAME_RULE) for name in ("a", "a" * 206, "App", "a__b", "a--b", "team//app")),
        *(
            (f"public.ecr.aws/{alias}/app", ALIAS_RULE)
            for alias in ("a", "Team", "1a", "a-b", "aa--b")
        ),
        (f"public.ecr.aws/{'a' * 51}/app", ALIAS_RULE),
        ("public.ecr.aws/12345/app", ALIAS_RULE),
    ],
    ids=lambda value: value[-20:],
)
def test_a_part_breaks_its_rule(text: str, rule: str) -> None:
    """A name or a registry that ECR Public refuses is refused with the rule."""
    assert rule in refusal_of(text)


def test_each_service_refuses_the_other_one() -> None:
    """A repository of the other service is refused, with the class of its client."""
    private = Repository(name="team/app")
    with pytest.raises(InvalidInputError) as caught:
        Repository.coerce(APP)
    assert str(caught.value) == f"'{APP}' {IN_ECR_PUBLIC}"
    assert refusal_of(private) == f"'team/app' {ELSEWHERE}"


@pytest.mark.parametrize(
    ("registry_id", "uri", "text"),
    [
        ("team", "public.ecr.aws/team/app", "public.ecr.aws/team/app"),
        (ACCOUNT, None, f"{ARN}/app"),
        (None, None, "app"),
    ],
)
def test_uri_and_text(registry_id: str | None, uri: str | None, text: str) -> None:
    """The text of a repository is its URI if the alias is known, else its ARN, else its name."""
    repository = PublicRepository(name="app", registry_id=registry_id)
    assert (repository.uri, str(repository)) == (uri, text)


@pytest.mark.parametrize("registry_id", ["team", ACCOUNT])
def test_the_text_is_read_back(registry_id: str) -> None:
    """The text of a repository with a known registry means the same repository."""
    repository = PublicRepository(name="app", registry_id=registry_id)
    assert PublicRepository.parse(str(repository)) == repository


@pytest.mark.parametrize(("registry_id", "account"), [(ACCOUNT, ACCOUNT), ("team", "*")])
def test_the_arn_has_the_account(registry_id: str, account: str) -> None:
    """The ARN of a public repository has no Region, and an alias is not an account."""
    repository = PublicRepository(name="app", registry_id=registry_id, region="us-east-1")
    assert arn_of(repository) == f"arn:aws:ecr-public::{account}:repository/app"


def test_it_is_a_value() -> None:
    """Equal parts make equal public repositories, also pickled or read from JSON."""
    read = PublicRepository.model_validate_json(APP.model_dump_json())
    assert {APP, read, pickle.loads(pickle.dumps(APP))} == {APP}


def test_it_differs_from_a_private_one() -> None:
    """A private repository of the same name is another repository."""
    assert PublicRepository(name="app") != Repository(name="app")


def test_a_result_is_read_back() -> None:
    """The repository of a result that is read from JSON is public again."""
    assert LayerCheckResult.model_validate_json(RESULT.model_dump_json()) == RESULT


def test_a_result_is_found_by_its_uri() -> None:
    """Results of public repositories are found by their URIs."""
    results = LayerCheckResults([RESULT])
    assert results["public.ecr.aws/team/images/app"] is RESULT
