"""`Repository`: names, URIs and ARNs, and what is refused with the mend."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from ecr_layer_client import InvalidInputError, Repository

ACCOUNT = "123456789012"
WHOLE = Repository(name="team/app", registry_id=ACCOUNT, region="eu-west-1")
URI = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/team/app"
NAME_RULE = "is not a valid ECR repository name: use 2 to 256 characters"


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "app",
        "team/app",
        "a-b",
        "a--b",
        "a_b",
        "a__b",
        "a.b",
        "0/1",
        "gcr.io/distroless/base-debian12",
        "a" * 256,
    ],
    ids=lambda name: name[:40],
)
def test_name(name: str) -> None:
    """A name that ECR's pattern takes is a repository of the caller's own registry and Region."""
    assert Repository.parse(name) == Repository(name=name, registry_id=None, region=None)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "a",
            "a" * 257,
            "App",
            "a b",
            "a___b",
            "a..b",
            "a.-b",
            "-a",
            "a-",
            "/app",
            "app/",
            "team//app",
            "app\n",
        ),
        *("äpp", "a\x1b[31mb", "\ud800a"),
    ],
    ids=lambda name: ascii(name[:20]),
)
def test_name_that_breaks_the_rule(name: str) -> None:
    """A name that ECR's pattern refuses is refused, naming the rule."""
    with pytest.raises(InvalidInputError, match=NAME_RULE):
        Repository.parse(name)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "dkr.ecr.eu-west-1.amazonaws.com"),
        ("us-gov-west-1", "dkr.ecr.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-iso-east-1", "dkr.ecr.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "dkr.ecr.us-isob-east-1.sc2s.sgov.gov"),
        ("us-isof-south-1", "dkr.ecr.us-isof-south-1.csp.hci.ic.gov"),
        ("eu-isoe-west-1", "dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk"),
        ("eusc-de-east-1", "dkr.ecr.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_uri_of_every_partition(region: str, host: str) -> None:
    """A registry URI of every partition is read, and the repository's own URI is that one."""
    uri = f"{ACCOUNT}.{host}/team/app"
    read = Repository.parse(uri)
    assert (read.registry_id, read.region, read.name, read.uri) == (
        ACCOUNT,
        region,
        "team/app",
        uri,
    )


@pytest.mark.parametrize(
    ("host", "region"),
    [
        pytest.param("dkr.ecr-fips.us-east-1.amazonaws.com", "us-east-1", id="FIPS"),
        pytest.param(
            "dkr.ecr-fips.us-gov-east-1.amazonaws.com", "us-gov-east-1", id="FIPS, GovCloud"
        ),
        pytest.param("dkr-ecr.us-west-2.on.aws", "us-west-2", id="dual-stack"),
        pytest.param("dkr-ecr-fips.us-west-2.on.aws", "us-west-2", id="dual-stack FIPS"),
        pytest.param(
            "dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1", id="dual-stack, China"
        ),
    ],
)
def test_uri_of_other_endpoints(host: str, region: str) -> None:
    """A FIPS or dual-stack URI names the same repository as the ordinary one."""
    assert Repository.parse(f"{ACCOUNT}.{host}/app") == Repository(
        name="app", registry_id=ACCOUNT, region=region
    )


@pytest.mark.parametrize(
    "partition",
    ["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"],
)
def test_arn_of_every_partition(partition: str) -> None:
    """An ARN of every partition is read."""
    assert Repository.parse(f"arn:{partition}:ecr:eu-west-1:{ACCOUNT}:repository/team/app") == WHOLE


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "team/app:v1",
            "'team/app:v1' names more than a repository: leave out the tag, and use 'team/app'",
            id="tag",
        ),
        pytest.param(
            "team/app@sha256:aa",
            "'team/app@sha256:aa' names more than a repository: leave out the digest, and use "
            "'team/app'; pass the digest in the list of digests",
            id="digest",
        ),
        pytest.param(
            f"https://{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app",
            f"'https://{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app' names more than a repository: "
            f"leave out the scheme, and use '{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app'",
            id="scheme",
        ),
        pytest.param(
            "public.ecr.aws/team/app",
            "'public.ecr.aws/team/app' is a repository of ECR Public, which has an API of its own: "
            "name a repository of a private registry",
            id="ECR Public",
        ),
        pytest.param(
            f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com",
            f"'{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com' names a registry but no repository: "
            "append '/' and the name of the repository",
            id="registry alone",
        ),
        pytest.param(
            f"arn:aws:iam::{ACCOUNT}:role/app",
            f"'arn:aws:iam::{ACCOUNT}:role/app' is not the ARN of an ECR repository: "
            "use 'arn:aws:ecr:REGION:ACCOUNT:repository/NAME'",
            id="another ARN",
        ),
    ],
)
def test_refused_with_the_mend(text: str, told: str) -> None:
    """What is more than a repository, or less, is refused with what to write in its place."""
    with pytest.raises(InvalidInputError) as caught:
        Repository.parse(text)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("team/app:v1", id="tag"),
        pytest.param("team/app@sha256:aa", id="digest"),
        pytest.param("team/app:v1@sha256:aa", id="tag and digest"),
        pytest.param(
            f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/team/app:v1", id="ARN with a tag"
        ),
        pytest.param(
            f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/team/app:v1@sha256:aa",
            id="ARN with a tag and a digest",
        ),
    ],
)
def test_mend_is_taken(text: str) -> None:
    """What the message says to write in its place is taken."""
    with pytest.raises(InvalidInputError) as caught:
        Repository.parse(text)
    assert Repository.parse(str(caught.value).rsplit(": ", 1)[1].split("'")[1]).name == "team/app"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/App", id="ARN with a bad name"),
        pytest.param(f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/app\n", id="ARN with a newline"),
        pytest.param(f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/", id="URI without a name"),
        pytest.param(f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/App", id="URI with a bad name"),
        pytest.param(f"{ACCOUNT}.DKR.ECR.eu-west-1.amazonaws.com/app", id="URI in upper case"),
    ],
)
def test_name_within_is_checked(text: str) -> None:
    """The name within a URI or an ARN obeys the rule of names."""
    with pytest.raises(InvalidInputError, match=NAME_RULE):
        Repository.parse(text)


def test_region_within_is_checked() -> None:
    """The Region within a URI obeys the rule of Regions."""
    with pytest.raises(InvalidInputError, match=r"^'-' is not a valid AWS Region: use a code"):
        Repository.parse(f"{ACCOUNT}.dkr.ecr.-.amazonaws.com/app")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        pytest.param(
            {"name": "app", "registry_id": "12345"},
            "'12345' is not a valid registry id: use the 12 digits of an AWS account, as a str",
            id="short registry id",
        ),
        pytest.param(
            {"name": "app", "registry_id": ACCOUNT + "\n"},
            f"'{ACCOUNT}\\n' is not a valid registry id: use the 12 digits of an AWS account, as a str",
            id="registry id with a newline",
        ),
        pytest.param(
            {"name": "app", "region": "Frankfurt"},
            "'Frankfurt' is not a valid AWS Region: use a code such as 'eu-west-1'",
            id="region",
        ),
        pytest.param(
            {"name": "app", "registry_id": 123456789012},
            "Repository registry_id: Input should be a valid string, not 123456789012",
            id="registry id as int",
        ),
        pytest.param(
            {"name": "app", "tag": "v1"},
            "Repository tag: Extra inputs are not permitted, not 'v1'",
            id="unknown part",
        ),
        pytest.param({}, "Repository name: Field required, not {}", id="no name"),
    ],
)
def test_part_that_breaks_its_rule(parts: dict[str, Any], told: str) -> None:
    """A part that breaks its rule is refused, naming the value and the rule."""
    with pytest.raises(InvalidInputError) as caught:
        Repository(**parts)
    assert str(caught.value) == told


@pytest.mark.parametrize("value", [5, None, b"app", ["app"]], ids=repr)
def test_what_is_no_str(value: Any) -> None:
    """What is neither a str nor a Repository is refused, naming its type."""
    with pytest.raises(
        InvalidInputError,
        match=rf"^a repository must be a str or a Repository, not {type(value).__name__} ",
    ):
        Repository.coerce(value)


def test_message_is_bounded() -> None:
    """A name of 10 kB with newlines makes a message of one bounded line."""
    with pytest.raises(InvalidInputError) as caught:
        Repository.parse("\n" * 10_000)
    assert (len(str(caught.value)) < 500, "\n" in str(caught.value)) == (True, False)


def test_refusal_hides_pydantic() -> None:
    """A refusal is one plain error, without pydantic's beneath it."""
    with pytest.raises(InvalidInputError) as caught:
        Repository(name="App")
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


def test_coerce_keeps_a_repository() -> None:
    """A Repository is taken as it is."""
    assert Repository.coerce(WHOLE) is WHOLE


@pytest.mark.parametrize(
    ("repository", "uri", "text"),
    [
        pytest.param(WHOLE, URI, URI, id="whole"),
        pytest.param(Repository(name="app"), None, "app", id="name alone"),
        pytest.param(Repository(name="app", registry_id=ACCOUNT), None, "app", id="no Region"),
        pytest.param(Repository(name="app", region="eu-west-1"), None, "app", id="no registry id"),
    ],
)
def test_uri_and_text(repository: Repository, uri: str | None, text: str) -> None:
    """The URI is there when every part is known; as text a repository is its URI, else its name."""
    assert (repository.uri, str(repository)) == (uri, text)


def test_repository_is_a_value() -> None:
    """Equal parts make equal repositories, of one hash."""
    same = Repository(name="team/app", registry_id=ACCOUNT, region="eu-west-1")
    assert len({WHOLE, same, copy.deepcopy(WHOLE), pickle.loads(pickle.dumps(WHOLE))}) == 1


def test_repository_can_not_be_changed() -> None:
    """A repository is immutable."""
    part = "name"
    with pytest.raises(ValidationError, match="frozen"):
        setattr(WHOLE, part, "other")


@pytest.mark.parametrize("repository", [WHOLE, Repository(name="app")], ids=["whole", "name alone"])
def test_repository_survives_json(repository: Repository) -> None:
    """A repository read back from its JSON is equal to it."""
    assert Repository.model_validate_json(repository.model_dump_json()) == repository


@pytest.mark.parametrize(
    "text",
    [
        "12345.dkr.ecr.us-east-1.amazonaws.com/team",
        "123456789012.dkr.ecr.us_east.amazonaws.com/team",
        "x.dkr-ecr.us-east-1.on.aws/team",
    ],
)
def test_a_broken_uri_is_no_name(text: str) -> None:
    """What looks like a registry URI and is none is refused, not taken for a name."""
    with pytest.raises(InvalidInputError, match="12 digits of an account"):
        Repository.parse(text)


def test_public_registry_alone() -> None:
    """ECR Public is refused without a repository, too."""
    with pytest.raises(InvalidInputError, match="ECR Public"):
        Repository.parse("public.ecr.aws")
