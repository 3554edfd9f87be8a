"""`Repository` reads names, URIs and ARNs, and refuses other texts with what to write instead."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from ecr_layer_client import InvalidInputError, Repository
from ecr_layer_client._transport.error_responses import arn_of

ACCOUNT = "123456789012"
REGION = "eu-west-1"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
URI = f"{HOST}/team/app"
FULL = Repository(name="team/app", registry_id=ACCOUNT, region=REGION)
NAME_RULE = "is not a valid ECR repository name: use 2 to 256 characters"
ACCOUNT_RULE = "is not a valid registry id: use the 12 digits of an AWS account, as a str"


def refusal_of(text: str) -> str:
    """Return the message about a text that is refused."""
    with pytest.raises(InvalidInputError) as caught:
        Repository.parse(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("ab", "app", "team/app", "a-b", "a--b", "a_b", "a__b", "a.b", "0/1", "a" * 256),
        "gcr.io/distroless/base-debian12",
        "registry.example.com/team/app",
    ],
    ids=lambda name: name[:40],
)
def test_name(name: str) -> None:
    """A name that ECR accepts is a repository of the caller's own registry and Region."""
    assert Repository.parse(name) == Repository(name=name, registry_id=None, region=None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "a" * 257, "App", "a b", "a___b", "a..b", "a.-b", "-a", "a-", "/app", "app/"),
        *("team/a:b/app", "team//app", "app\n", "äpp", "a\x1b[31mb", "\ud800a"),
        *(f"{ARN}/App", f"{ARN}/app\n", f"{HOST}/", f"{HOST}/App", f"{HOST.upper()}/app"),
    ],
    ids=lambda text: ascii(text[-20:]),
)
def test_name_is_not_valid(text: str) -> None:
    """A name that ECR refuses is refused with the rule, also within a URI or an ARN."""
    assert NAME_RULE in refusal_of(text)


@pytest.mark.parametrize(
    ("partition", "region", "suffix"),
    [
        ("aws", "eu-west-1", "amazonaws.com"),
        ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
        ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
        ("aws-iso", "us-iso-east-1", "c2s.ic.gov"),
        ("aws-iso-b", "us-isob-east-1", "sc2s.sgov.gov"),
        ("aws-iso-f", "us-isof-south-1", "csp.hci.ic.gov"),
        ("aws-iso-e", "eu-isoe-west-1", "cloud.adc-e.uk"),
        ("aws-eusc", "eusc-de-east-1", "amazonaws.eu"),
    ],
)
def test_every_partition(partition: str, region: str, suffix: str) -> None:
    """The URI and the ARN of a repository are written and read back in every partition."""
    repository = Repository(name="team/app", registry_id=ACCOUNT, region=region)
    uri = f"{ACCOUNT}.dkr.ecr.{region}.{suffix}/team/app"
    arn = f"arn:{partition}:ecr:{region}:{ACCOUNT}:repository/team/app"
    assert (repository.uri, arn_of(repository)) == (uri, arn)
    assert [Repository.parse(text) for text in (uri, arn)] == [repository] * 2


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("dkr.ecr-fips.us-east-1.amazonaws.com", "us-east-1"),
        ("dkr.ecr-fips.us-gov-east-1.amazonaws.com", "us-gov-east-1"),
        ("dkr-ecr.us-west-2.on.aws", "us-west-2"),
        ("dkr-ecr-fips.us-west-2.on.aws", "us-west-2"),
        ("dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1"),
    ],
    ids=["FIPS", "FIPS, GovCloud", "dual-stack", "dual-stack FIPS", "dual-stack, China"],
)
def test_uri_of_other_endpoints(host: str, region: str) -> None:
    """A FIPS or dual-stack URI names the same repository as the ordinary one."""
    expected = Repository(name="app", registry_id=ACCOUNT, region=region)
    assert Repository.parse(f"{ACCOUNT}.{host}/app") == expected


NO_PORT = "begins with a host and a port, but an ECR registry has no port"
LOCAL = "and name a local registry with endpoint_url"
ELSEWHERE = (
    "is a repository of ECR Public: check layers and push with ECRPublicLayerClient, and pull with "
    "docker, skopeo or crane"
)
ADVICE = {
    "team/app:v1": "names more than a repository: leave out the tag, and use 'team/app'",
    "team/app@sha256:aa": "names more than a repository: leave out the digest, and use 'team/app'; "
    "pass the digest in the list of digests",
    f"https://{HOST}/app": "names more than a repository: leave out the scheme, and use "
    f"'{HOST}/app'",
    "public.ecr.aws/team/app": ELSEWHERE,
    "ecr-public.aws.com/alias/app": ELSEWHERE,
    "gallery.ecr.aws/alias/app": ELSEWHERE,
    "https://public.ecr.aws/alias/app": ELSEWHERE,
    f"arn:aws:ecr-public::{ACCOUNT}:repository/app": ELSEWHERE,
    "localhost:5000/team/app": f"{NO_PORT}: use 'team/app', {LOCAL}",
    "http://localhost:5000/team/app:v1@sha256:aa": f"{NO_PORT}: use 'team/app', {LOCAL}",
    "000000000000.dkr.ecr.us-east-1.localhost.localstack.cloud:4566/team/app": f"{NO_PORT}: "
    f"use 'team/app', {LOCAL}",
    "localhost:5000/": f"{NO_PORT}: use the name of the repository, {LOCAL}",
    f"{HOST}:443/team/app:v1": f"{NO_PORT}: leave out the port, and use '{HOST}/team/app'",
    f"{ACCOUNT}.dkr-ecr.{REGION}.on.aws:443/app": f"{NO_PORT}: leave out the port, and use "
    f"'{ACCOUNT}.dkr-ecr.{REGION}.on.aws/app'",
    HOST: "names a registry but no repository: append '/' and the name of the repository",
    f"arn:aws:iam::{ACCOUNT}:role/app": "is not the ARN of an ECR repository: "
    "use 'arn:aws:ecr:REGION:ACCOUNT:repository/NAME'",
}


@pytest.mark.parametrize("text", ADVICE)
def test_refused_with_advice(text: str) -> None:
    """A text that names more or less than a repository is refused with what to write instead."""
    assert refusal_of(text) == f"'{text}' {ADVICE[text]}"


@pytest.mark.parametrize(
    "text",
    [
        *("team/app:v1", "team/app@sha256:aa", "team/app:v1@sha256:aa"),
        *(f"{ARN}/team/app:v1", f"{ARN}/team/app:v1@sha256:aa"),
        *(f"https://{HOST}/team/app:v1", f"https://{HOST}/team/app@sha256:aa"),
        *("localhost:5000/team/app:v1", f"{HOST}:443/team/app:v1@sha256:aa"),
    ],
)
def test_advice_is_accepted(text: str) -> None:
    """The repository that the message names is accepted."""
    advice = refusal_of(text).rsplit(": ", 1)[1].split("'")[1]
    assert Repository.parse(advice).name == "team/app"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("public.ecr.aws", "ECR Public"),
        (f"{ACCOUNT}.dkr.ecr.-.amazonaws.com/app", "'-' is not a valid AWS Region: use a code"),
        ("12345.dkr.ecr.us-east-1.amazonaws.com/team", "12 digits of an account"),
        ("123456789012.dkr.ecr.us_east.amazonaws.com/team", "12 digits of an account"),
        ("x.dkr-ecr.us-east-1.on.aws/team", "12 digits of an account"),
    ],
)
def test_malformed_uri(text: str, message: str) -> None:
    """A malformed registry URI is refused, and is not read as a name."""
    assert message in refusal_of(text)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"name": "app", "registry_id": "12345"}, f"'12345' {ACCOUNT_RULE}"),
        ({"name": "app", "registry_id": f"{ACCOUNT}\n"}, f"'{ACCOUNT}\\n' {ACCOUNT_RULE}"),
        (
            {"name": "app", "region": "Frankfurt"},
            "'Frankfurt' is not a valid AWS Region: use a code such as 'eu-west-1'",
        ),
        (
            {"name": "app", "registry_id": 123456789012},
            "Repository registry_id: Input should be a valid string, not 123456789012",
        ),
        ({"name": "app", "tag": ""}, "Repository tag: Extra inputs are not permitted, not ''"),
        ({}, "Repository name: Field required, not {}"),
    ],
    ids=["short id", "id with a newline", "region", "id as int", "unknown part", "no name"],
)
def test_part_breaks_its_rule(parts: dict[str, Any], message: str) -> None:
    """A part that breaks its rule is refused with its value and the rule, without pydantic."""
    with pytest.raises(InvalidInputError) as caught:
        Repository(**parts)
    assert str(caught.value) == message
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


@pytest.mark.parametrize("value", [5, None, b"app", ["app"]], ids=repr)
def test_not_a_repository(value: Any) -> None:
    """A value that is neither a str nor a Repository is refused by its type."""
    rule = "a repository must be a str or a Repository"
    with pytest.raises(InvalidInputError, match=rf"^{rule}, not {type(value).__name__} "):
        Repository.coerce(value)


def test_message_is_bounded() -> None:
    """A name of 10 kB with newlines makes a message of one bounded line."""
    message = refusal_of("\n" * 10_000)
    assert (len(message) < 500, "\n" in message) == (True, False)


def test_coerce_keeps_a_repository() -> None:
    """A Repository is returned unchanged."""
    assert Repository.coerce(FULL) is FULL


@pytest.mark.parametrize(
    ("parts", "uri"),
    [
        ({"registry_id": ACCOUNT, "region": REGION}, URI),
        *(({}, None), ({"registry_id": ACCOUNT}, None), ({"region": REGION}, None)),
    ],
    ids=["all parts", "name alone", "no Region", "no registry id"],
)
def test_uri_and_text(parts: dict[str, str], uri: str | None) -> None:
    """A repository of which all parts are known has a URI, which is its text; else the name."""
    repository = Repository(name="team/app", **parts)
    assert (repository.uri, str(repository)) == (uri, uri or "team/app")


def test_repository_is_a_value() -> None:
    """Equal parts make equal repositories, also pickled or read from JSON; they are immutable."""
    same = Repository(name="team/app", registry_id=ACCOUNT, region=REGION)
    read = Repository.model_validate_json(FULL.model_dump_json())
    assert len({FULL, same, copy.deepcopy(FULL), pickle.loads(pickle.dumps(FULL)), read}) == 1
    with pytest.raises(ValidationError, match="frozen"):
        FULL.name = "other"  # type: ignore[misc]  # it is frozen
