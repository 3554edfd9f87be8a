"""A repository and its spellings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client import InvalidInputError, PublicRepository, Repository
from ecr_layer_client._models.public_repository import any_repository
from ecr_layer_client._transport.error_responses import arn_of

PARTS = st.lists(st.text(alphabet="a1b", min_size=1, max_size=3), min_size=1, max_size=3)
SEPARATORS = st.sampled_from([".", "_", "__", "-", "---"])
NAMESPACES = SEPARATORS.flatmap(lambda separator: PARTS.map(separator.join))
NAMES = (
    st.lists(NAMESPACES, min_size=1, max_size=3).map("/".join).filter(lambda name: len(name) > 1)
)
ACCOUNTS = st.integers(0, 10**12 - 1).map("{:012}".format)
REGIONS = st.sampled_from(
    [
        *("us-east-1", "eu-west-1", "ap-southeast-7", "cn-north-1", "us-gov-east-1"),
        *("us-iso-west-1", "us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1"),
        "eusc-de-east-1",
    ]
)
PUBLIC_NAMES = (
    st.lists(
        st.sampled_from("._-").flatmap(lambda each: PARTS.map(each.join)), min_size=1, max_size=3
    )
    .map("/".join)
    .filter(lambda name: len(name) > 1)
)
ALIASES = st.from_regex(r"[a-z][a-z0-9]{1,5}([._-][a-z0-9]{1,3}){0,2}", fullmatch=True)
PUBLIC = st.builds(PublicRepository, name=PUBLIC_NAMES, registry_id=ALIASES)
OF_ACCOUNTS = st.builds(PublicRepository, name=PUBLIC_NAMES, registry_id=ACCOUNTS)
COMPLETE = st.builds(Repository, name=NAMES, registry_id=ACCOUNTS, region=REGIONS)
NAMED = st.builds(Repository, name=NAMES)


@given(COMPLETE | NAMED | PUBLIC)
def test_text_and_json_are_read_back(repository: Repository) -> None:
    """A repository that is read back from its URI, or name, and from its JSON is equal to it."""
    assert type(repository).parse(str(repository)) == repository
    assert type(repository).model_validate_json(repository.model_dump_json()) == repository


@given(COMPLETE | PUBLIC)
def test_the_text_names_the_service(repository: Repository) -> None:
    """A URI is read as a repository of the service that it names."""
    assert any_repository(str(repository)) == repository


@given(COMPLETE | OF_ACCOUNTS)
def test_arn_is_read_back(repository: Repository) -> None:
    """A repository that is read back from its ARN is equal to it."""
    assert type(repository).parse(arn_of(repository)) == repository


def spelling_or_error(cls: type[Repository], text: str) -> str:
    """Return the repository's own spelling, or how the text is refused."""
    try:
        return str(cls.parse(text))
    except InvalidInputError as error:
        return "one line" if len(str(error)) < 1_000 and str(error).isprintable() else str(error)


@given(st.text(max_size=20) | st.text(alphabet="ab0.-_/:@", max_size=20))
def test_any_text(text: str) -> None:
    """Any text is a repository of the same spelling, or refused in one bounded, printable line."""
    assert spelling_or_error(Repository, text) in (text, "one line")
    assert spelling_or_error(PublicRepository, text) in (text, "one line")
