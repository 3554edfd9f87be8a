"""`Platform` and `Descriptor` are values."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ecr_layer_client import InvalidInputError
from ecr_layer_client.images import Descriptor, Platform


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7", "windows/amd64:10.0.1", "a/b/c:1"])
def test_platform_reads_what_it_shows(text: str) -> None:
    """A platform is parsed from the text that it shows."""
    assert str(Platform.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "linux",
        "linux/",
        "/amd64",
        "linux/arm/v7/x",
        "linux /amd64",
        "linux/amd64:",
        "linux:1/amd64",
        None,
    ],
)
def test_no_platform(text: Any) -> None:
    """Text without an operating system and an architecture is refused."""
    with pytest.raises(InvalidInputError) as raised:
        Platform.parse(text)
    assert str(raised.value) == (
        f"platform={text!r} is not a valid platform: write 'os/architecture' or "
        "'os/architecture/variant', such as 'linux/arm64', with ':' and an os.version if you need "
        "one"
    )


@pytest.mark.parametrize(
    ("wanted", "other", "accepts"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/arm64", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm", "linux/arm/v6", True),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/arm/v7", "linux/arm/v6", False),
    ],
)
def test_platform_accepts(wanted: str, other: str, accepts: bool) -> None:
    """A platform without a variant accepts any variant.

    The default variant of an architecture is the same as no variant.
    """
    assert Platform.parse(wanted).accepts(Platform.parse(other)) == accepts


@pytest.mark.parametrize(
    ("wanted", "other", "is_exactly"),
    [
        ("linux/arm", "linux/arm/v7", True),
        ("linux/arm", "linux/arm/v6", False),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/amd64", "linux/amd64/v1", True),
        ("linux/amd64", "linux/amd64/v3", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/riscv64", "linux/riscv64", True),
    ],
)
def test_platform_is_exactly(wanted: str, other: str, is_exactly: bool) -> None:
    """A platform without a variant means the default variant of its architecture."""
    assert Platform.parse(wanted).is_exactly(Platform.parse(other)) == is_exactly


def test_a_variant_that_is_empty() -> None:
    """An empty variant, which some programs write, is the same as no variant."""
    empty, none = (
        Platform(os="linux", architecture="arm64", variant=variant) for variant in ("", None)
    )

    assert (str(empty), empty.is_exactly(none), none.is_exactly(empty)) == (
        "linux/arm64",
        True,
        True,
    )
    assert empty.accepts(Platform.parse("linux/arm64/v9"))


def test_platform_accepts_a_version() -> None:
    """A platform with a version accepts only that version."""
    builds = [
        Platform(os="windows", architecture="amd64", os_version=version)
        for version in ("10.0.1", "10.0.2")
    ]
    assert [Platform.parse("windows/amd64").accepts(build) for build in builds] == [True, True]
    assert [builds[0].accepts(build) for build in builds] == [True, False]


def test_descriptors_are_values() -> None:
    """Descriptors with the same members are equal, and one element in a set."""
    one, two = (
        Descriptor(digest="sha256:" + "a" * 64, size=1, annotations={"a": "b"}) for _ in range(2)
    )
    assert {one, two} == {one}


def test_descriptors_of_other_digests_have_other_hashes() -> None:
    """Looking one up in a large set takes no longer than in a small one."""
    hashes = {hash(Descriptor(digest=f"sha256:{number:064x}")) for number in range(100)}
    assert len(hashes) == 100


def test_the_message_of_a_malformed_digest() -> None:
    """The message says what a digest looks like."""
    with pytest.raises(ValidationError) as raised:
        Descriptor(digest="latest")
    assert raised.value.errors()[0]["msg"] == (
        "Value error, not a valid digest: a digest is an algorithm, ':' and a value in lower-case "
        "hexadecimal, such as sha256: and 64 digits"
    )


def test_the_length_of_a_digest() -> None:
    """A digest has at most 1,000 characters."""
    longest = f"blake3:{'a' * 993}"
    assert Descriptor(digest=longest).digest == longest
    with pytest.raises(ValidationError, match="not a valid digest"):
        Descriptor(digest=f"{longest}a")
