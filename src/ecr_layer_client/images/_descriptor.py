"""`Descriptor` and `Platform`, and the rules of digests and tags.

A manifest names blobs and other manifests by descriptors: media type, digest and size.

The aliases of the fields are the names that the formats use. Only the JSON of a manifest is read by
alias. Everywhere else, the fields' own names apply.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, BaseModel, FailFast, Field

from ecr_layer_client._models.digest import MAX_DIGEST_LENGTH
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import escaped, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

# OCI distribution specification: a reference as a tag
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
# OCI image-spec, descriptor.md: the grammar of a digest, the two registered algorithms, and the
# number of hexadecimal digits of each.
_DIGEST = re.compile(r"(?P<algorithm>[a-z0-9]+([+._-][a-z0-9]+)*):(?P<encoded>[a-zA-Z0-9=_-]+)")
_HEX_LENGTHS = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[a-f0-9]+")
# The beginnings of media types, from OCI image-spec, media-types.md, and Docker's manifest
# schema 2. The rest of such a media type names the compression.
_FOREIGN = (
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
)
_PLATFORM = re.compile(
    r"(?P<os>[^/:\s]+)/(?P<architecture>[^/:\s]+)(/(?P<variant>[^/:\s]+))?"
    r"(:(?P<os_version>[^/:\s]+))?"
)
# The same rules by which containerd normalises variants.
_SAME_VARIANT = {("arm64", "v8"): None, ("amd64", "v1"): None, ("arm", None): "v7"}


def _check_digest(digest: str) -> str:
    found = _DIGEST.fullmatch(digest) if len(digest) <= MAX_DIGEST_LENGTH else None
    length = _HEX_LENGTHS.get(found["algorithm"]) if found else None

    if found is None or (
        length is not None
        and (len(found["encoded"]) != length or not _HEX.fullmatch(found["encoded"]))
    ):
        msg = (
            "not a valid digest: a digest is an algorithm, ':' and a value in lower-case "
            "hexadecimal, such as sha256: and 64 digits"
        )
        raise ValueError(msg)

    return digest


Digest = Annotated[str, AfterValidator(_check_digest)]

if TYPE_CHECKING:
    Texts = tuple[str, ...]
    Digests = tuple[Digest, ...]
    TextByName = dict[str, str]
else:
    # Programs written in Go write null for an empty list or mapping.
    Texts = Annotated[tuple[str, ...] | None, FailFast(), AfterValidator(lambda value: value or ())]
    Digests = Annotated[
        tuple[Digest, ...] | None, FailFast(), AfterValidator(lambda value: value or ())
    ]
    TextByName = Annotated[dict[str, str] | None, AfterValidator(lambda value: value or {})]


def hash_of(digest: str, name: str) -> hashlib._Hash:
    """Return a new hash object for the algorithm of a digest.

    Args:
        digest: The digest.
        name: The name of the place that holds the blob, for messages.

    Raises:
        InvalidInputError: The algorithm is not one of the two that OCI registers, so the blob can't
            be verified.
    """
    algorithm = digest.partition(":")[0]
    if algorithm not in _HEX_LENGTHS:
        msg = (
            f"{name}: {quoted(digest)} can't be verified: its algorithm is neither sha256 nor "
            "sha512"
        )
        raise InvalidInputError(msg)

    return hashlib.new(algorithm)


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Platform(BaseModel, frozen=True, validate_by_name=True, validate_by_alias=False):
    """The platform that an image runs on.

    Attributes:
        os: The operating system, such as `linux`.
        architecture: The processor, such as `amd64`, as Go spells it.
        variant: The processor's variant, such as `v7`. Default None.
        os_version: The operating system's version, which Windows images have. Default None.
        os_features: Features that the operating system must have. Default none.

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
        """Parse `os/architecture[/variant][:os_version]`, such as `windows/amd64:10.0.26100.1742`.

        Raises:
            InvalidInputError: The text does not have this form.
        """
        found = _PLATFORM.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            msg = (
                f"platform={quoted(text)} is not a valid platform: write 'os/architecture' or "
                "'os/architecture/variant', such as 'linux/arm64', with ':' and an os.version if "
                "you need one"
            )
            raise InvalidInputError(msg)

        return cls.model_validate(found.groupdict())

    def accepts(self, other: Platform) -> bool:
        """Return whether the other platform fulfils this one.

        If this platform has no variant or no version, any variant or version is accepted.

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
        """Return whether this platform accepts the other and has the same variant.

        A platform without a variant has the default variant of its architecture: `linux/arm` is
        `linux/arm/v7`.

        Example:
            >>> Platform.parse("linux/arm").is_exactly(Platform.parse("linux/arm/v7"))
            True
        """
        return self.accepts(other) and self._variant == other._variant

    @property
    def _variant(self) -> str | None:
        # Some programs write an empty variant.
        variant = self.variant or None
        return _SAME_VARIANT.get((self.architecture, variant), variant)

    def __str__(self) -> str:
        """Return the form that `parse` reads."""
        name = "/".join(
            part for part in (self.os, self.architecture, self.variant or None) if part is not None
        )
        return f"{name}:{self.os_version}" if self.os_version else name


class Descriptor(BaseModel, frozen=True, validate_by_name=True, validate_by_alias=False):
    """The description of one blob, or of another manifest, in a manifest.

    Attributes:
        digest: The digest, in lower case.
        size: The size in bytes. Default None: not given. Only schema 1 manifests omit it.
        media_type: The media type, spelled as in the manifest. It may be any text. Default None:
            not given. Only schema 1 manifests omit it.
        platform: The platform of an image in an index. Default None.
        urls: Other places to download the bytes from; see `is_foreign`. Default none.
        artifact_type: The type of an artifact in an index. Default None.
        annotations: Names and values, not interpreted. Default none.

    Example:
        >>> layer_type = "application/vnd.oci.image.layer.v1.tar"
        >>> Descriptor(digest="sha256:" + "0" * 64, size=32, media_type=layer_type).is_foreign
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
        """Whether this is a foreign layer: a layer that registries don't store and a push skips.

        A layer is foreign if it has `urls`, as Docker defines it, or if its media type has the word
        `foreign` (Docker) or `nondistributable` (OCI). A config is never foreign.
        """
        return bool(self.urls) or (self.media_type or "").startswith(_FOREIGN)

    def __hash__(self) -> int:
        """Hash the digest."""
        return hash(self.digest)


def named_child(child: Descriptor) -> str:
    """Return the platform of an image that an index names, or else its digest, for a message."""
    return escaped(str(child.platform)) if child.platform else child.digest


def each_for_its_platform(children: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    """Return the first descriptor of each pair of digest and platform, in order.

    One image may serve several platforms.
    """
    first: dict[tuple[str, Platform | None], Descriptor] = {}
    for child in children:
        first.setdefault((child.digest, child.platform), child)
    return tuple(first.values())


def child_for(children: Iterable[Descriptor], wanted: Platform) -> str | None:
    """Return the digest of the child of an index that serves a platform. None: there is none.

    It is one of exactly that variant, or else one that the platform can run. Of several, it is the
    one with the newest version of the operating system, or else the first in the index.
    """
    platforms = [(child.digest, child.platform) for child in children if child.platform is not None]
    for serves in (wanted.is_exactly, wanted.accepts):
        serving = [each for each in platforms if serves(each[1])]
        if serving:
            newest, _ = max(serving, key=lambda each: _version(each[1]))
            return newest
    return None


def digest_for(children: Iterable[Descriptor], wanted: Platform, name: str) -> str:
    """Return the digest of the child of an index that serves a platform, as `child_for`.

    Args:
        children: The children.
        wanted: The platform.
        name: The name of the index, for messages.

    Raises:
        InvalidInputError: There is none.
    """
    given = tuple(children)
    found = child_for(given, wanted)
    if found is None:
        msg = f"{name} has no image for {wanted}: it has {platforms_of(given)}"
        raise InvalidInputError(msg)
    return found


def platforms_of(children: Iterable[Descriptor]) -> str:
    """Return the platforms of some children of an index, each once, for a message."""
    platforms = dict.fromkeys(str(child.platform) for child in children if child.platform)
    return escaped(", ".join(platforms) or "none at all")


def _version(platform: Platform) -> tuple[int, ...]:
    """Return a key by which newer versions of an operating system sort after older ones."""
    # Python limits the digits of an int that it parses, and no version has so long a number.
    return tuple(map(int, re.findall(r"[0-9]{1,9}", platform.os_version or "")))


def each_once(descriptors: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    """Return the first descriptor of each digest, in order."""
    first: dict[str, Descriptor] = {}
    for descriptor in descriptors:
        first.setdefault(descriptor.digest, descriptor)
    return tuple(first.values())
