"""`Descriptor`: how manifests name blobs and each other, by media type, digest and size.

And the rules of digests and tags.

The aliases are the formats' own names. Only a manifest's JSON is read by them; everywhere else the
fields' names hold.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, BaseModel, FailFast, Field

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

TAG = re.compile(
    r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
)  # OCI distribution specification: a reference as a tag
# OCI image-spec, descriptor.md: the grammar of a digest, and the two registered algorithms with the
# lengths of theirs.
_DIGEST = re.compile(r"(?P<algorithm>[a-z0-9]+([+._-][a-z0-9]+)*):(?P<encoded>[a-zA-Z0-9=_-]+)")
_HEX_LENGTHS = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[a-f0-9]+")
_LONGEST_DIGEST = 1000  # ECR model: BatchedOperationLayerDigest
# OCI image-spec, media-types.md, and Docker's manifest schema 2; what follows says how they are
# compressed.
_FOREIGN = (
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
)
_PLATFORM = re.compile(r"(?P<os>[^/\s]+)/(?P<architecture>[^/\s]+)(/(?P<variant>[^/\s]+))?")
_SAME_VARIANT = {
    ("arm64", "v8"): None,
    ("amd64", "v1"): None,
    ("arm", None): "v7",
}  # as containerd normalises them


def _check_digest(digest: str) -> str:
    found = _DIGEST.fullmatch(digest) if len(digest) <= _LONGEST_DIGEST else None
    length = _HEX_LENGTHS.get(found["algorithm"]) if found else None
    if found is None or (
        length is not None
        and (len(found["encoded"]) != length or not _HEX.fullmatch(found["encoded"]))
    ):
        msg = "no digest: an algorithm, ':' and its value in lower-case hexadecimal, such as sha256: and 64 digits"
        raise ValueError(msg)
    return digest


Digest = Annotated[str, AfterValidator(_check_digest)]

if TYPE_CHECKING:
    Texts = tuple[str, ...]
    Digests = tuple[Digest, ...]
    TextByName = dict[str, str]
else:  # writers in Go spell what is empty as null
    Texts = Annotated[tuple[str, ...] | None, FailFast(), AfterValidator(lambda value: value or ())]
    Digests = Annotated[
        tuple[Digest, ...] | None, FailFast(), AfterValidator(lambda value: value or ())
    ]
    TextByName = Annotated[dict[str, str] | None, AfterValidator(lambda value: value or {})]


def hash_of(digest: str, name: str) -> hashlib._Hash:
    """Return a fresh hash of a digest's algorithm.

    Args:
        digest: The digest.
        name: What holds the blob, for a message.

    Raises:
        InvalidInputError: It is none of the two that OCI registers, so that what it names can't be
            verified.
    """
    algorithm = digest.partition(":")[0]
    if algorithm not in _HEX_LENGTHS:
        msg = f"{name}: {quoted(digest)} can't be verified: its algorithm is neither sha256 nor sha512"
        raise InvalidInputError(msg)
    return hashlib.new(algorithm)


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Platform(BaseModel, frozen=True, validate_by_name=True, validate_by_alias=False):
    """What an image runs on.

    Attributes:
        os: The operating system, such as `linux`.
        architecture: The processor, such as `amd64`, as Go spells it.
        variant: The processor's variant, such as `v7`. Default None.
        os_version: The operating system's version, which Windows images have. Default None.
        os_features: What the operating system must offer. Default none.

    Example:
        >>> Platform.parse("linux/arm64/v8")
        Platform(os='linux', architecture='arm64', variant='v8', os_version=None, os_features=())
    """

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = Field(default=None, validation_alias="os.version")
    os_features: Texts = Field(default=(), validation_alias="os.features")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `os/architecture` or `os/architecture/variant`.

        Raises:
            InvalidInputError: It is neither.
        """
        found = _PLATFORM.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            msg = f"platform={quoted(text)}: 'os/architecture' or 'os/architecture/variant', such as 'linux/arm64'"
            raise InvalidInputError(msg)
        return cls(os=found["os"], architecture=found["architecture"], variant=found["variant"])

    def accepts(self, other: Platform) -> bool:
        """Say whether the other is what this one asks for.

        What this one leaves open, a variant or a version, may be any.

        Example:
            >>> Platform.parse("linux/arm64").accepts(Platform.parse("linux/arm64/v8"))
            True
        """
        return (
            (self.os, self.architecture) == (other.os, other.architecture)
            and (not self.variant or self._variant == other._variant)
            and self.os_version in {None, other.os_version}
        )

    def is_exactly(self, other: Platform) -> bool:
        """Say whether the other has the same variant, too, where none is the architecture's own: `linux/arm` is `linux/arm/v7`.

        Example:
            >>> Platform.parse("linux/arm").is_exactly(Platform.parse("linux/arm/v7"))
            True
        """
        return self.accepts(other) and self._variant == other._variant

    @property
    def _variant(self) -> str | None:
        variant = self.variant or None  # some write one that is empty
        return _SAME_VARIANT.get((self.architecture, variant), variant)

    def __str__(self) -> str:
        """The form that `parse` reads, with the version, if any, behind it."""
        name = "/".join(
            part for part in (self.os, self.architecture, self.variant or None) if part is not None
        )
        return f"{name} ({self.os_version})" if self.os_version else name


class Descriptor(BaseModel, frozen=True, validate_by_name=True, validate_by_alias=False):
    """What a manifest says of one blob or of another manifest.

    Attributes:
        digest: Its digest, in lower case.
        size: Bytes. Default None: not said; only schema 1 manifests leave it out.
        media_type: What it is, spelled as in the manifest; any text. Default None: not said; as
            `size`.
        platform: Of an image in an index: what it runs on. Default None.
        urls: Where else its bytes may be had; see `is_foreign`. Default none.
        artifact_type: Of an artifact in an index: what it is. Default None.
        annotations: Names and values, uninterpreted. Default none.

    Example:
        >>> Descriptor(digest="sha256:" + "0" * 64, size=32, media_type="application/vnd.oci.image.layer.v1.tar").is_foreign
        False
    """

    digest: Digest
    size: int | None = Field(default=None, ge=0, lt=2**63)
    media_type: str | None = Field(default=None, validation_alias="mediaType")
    platform: Platform | None = None
    urls: Texts = Field(default=(), repr=False)
    artifact_type: str | None = Field(default=None, validation_alias="artifactType", repr=False)
    annotations: TextByName = Field(default={}, repr=False)

    @property
    def is_foreign(self) -> bool:
        """Whether, as a layer, registries don't store it and a push leaves it out: its media type says so, or it has `urls`.

        Docker goes by the URLs, other clients by the media type (Docker's `foreign` layers, OCI's
        `nondistributable` ones). A config is always stored.
        """
        return bool(self.urls) or (self.media_type or "").startswith(_FOREIGN)

    def __hash__(self) -> int:
        """Hash the digest, which the rest belongs to."""
        return hash(self.digest)


def each_for_its_platform(children: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    """Return the first descriptor of each digest and platform, in order: one image may serve several platforms."""
    first: dict[tuple[str, Platform | None], Descriptor] = {}
    for child in children:
        first.setdefault((child.digest, child.platform), child)
    return tuple(first.values())


def each_once(descriptors: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    """Return the first descriptor of each digest, in order."""
    first: dict[str, Descriptor] = {}
    for descriptor in descriptors:
        first.setdefault(descriptor.digest, descriptor)
    return tuple(first.values())
