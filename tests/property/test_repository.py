"""A repository and its spellings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client import InvalidInputError, Repository
from ecr_layer_client._transport.error_responses import arn_of

PARTS = st.lists(st.text(alphabet="a1b", min_size=1, max_size=3), min_size=1, max_size=3)
NAMESPACES = st.sampled_from([".", "_", "__", "-", "---"]).flatmap(
    lambda joint: PARTS.map(joint.join)
)
NAMES = (
    st.lists(NAMESPACES, min_size=1, max_size=3).map("/".join).filter(lambda name: len(name) > 1)
)
ACCOUNTS = st.integers(0, 10**12 - 1).map("{:012}".format)
REGIONS = st.sampled_from(
    [
        *(
            "us-east-1",
            "eu-west-1",
            "ap-southeast-7",
            "cn-north-1",
            "us-gov-east-1",
            "us-iso-west-1",
            "us-isob-east-1",
        ),
        *("us-isof-south-1", "eu-isoe-west-1", "eusc-de-east-1"),
    ]
)
WHOLE = st.builds(Repository, name=NAMES, registry_id=ACCOUNTS, region=REGIONS)


@given(WHOLE)
def test_uri_is_read_back(repository: Repository) -> None:
    """A repository read back from its URI is equal to it."""
    assert Repository.parse(str(repository)) == repository


@given(WHOLE)
def test_arn_is_read_back(repository: Repository) -> None:
    """A repository read back from its ARN is equal to it."""
    assert Repository.parse(arn_of(repository)) == repository


@given(NAMES)
def test_name_is_read_back(name: str) -> None:
    """A repository read back from its name is equal to it."""
    assert Repository.parse(str(Repository(name=name))) == Repository(name=name)


@given(WHOLE | st.builds(Repository, name=NAMES))
def test_json_is_read_back(repository: Repository) -> None:
    """A repository read back from its JSON is equal to it."""
    assert Repository.model_validate_json(repository.model_dump_json()) == repository


@given(st.text(max_size=20) | st.text(alphabet="ab0.-_/:@", max_size=20))
def test_any_text_is_taken_as_it_is_or_refused(text: str) -> None:
    """Any text at all is a repository of that very spelling, or refused in one bounded, printable line."""
    assert taken_or_told(text) in (text, "one line")


def taken_or_told(text: str) -> str:
    """Return the repository's own spelling, or how it was refused."""
    try:
        return str(Repository.parse(text))
    except InvalidInputError as error:
        return "one line" if len(str(error)) < 1_000 and str(error).isprintable() else str(error)
