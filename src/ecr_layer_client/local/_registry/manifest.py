"""The parts of a manifest: its media type, and the blobs or images that it names. Pure.

The bytes of a manifest are kept as they arrived and are never serialized again.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any, cast

from .errors import invalid_parameter
from .state import StoredImage

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA_1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_LIST)
SCHEMA_1 = (DOCKER_SCHEMA_1, DOCKER_SCHEMA_1_SIGNED)
# AWS documentation: container image manifest formats.
MEDIA_TYPES = (*MANIFESTS, *INDEXES, *SCHEMA_1)

DIGEST_PATTERN = r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+"  # ECR model: LayerDigest
DIGEST = re.compile(DIGEST_PATTERN).fullmatch
WHERE_TYPE = "imageManifestMediaType"
# ECR writes this place in another case than its member. The messages about this place are assumed,
# except for "Invalid JSON syntax".
WHERE = "ImageManifest"
INVALID_JSON = "Invalid JSON syntax"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A parsed manifest.

    `blobs` are its config and layers, without foreign layers. `children` are the images that an
    index lists.
    """

    text: str
    digest: str
    media_type: str
    blobs: dict[str, str] = field(default_factory=dict[str, str])  # digest -> media type
    children: tuple[str, ...] = ()
    artifact_type: str | None = None
    subject: str | None = None

    def image(self, pushed_at: float) -> StoredImage:
        """Return the image of this manifest."""
        return StoredImage(
            self.digest,
            self.media_type,
            pushed_at,
            self.blobs,
            [*self.children],
            self.artifact_type,
            self.subject,
        )


def read_manifest(text: str, media_type: str | None = None) -> Manifest:
    """Parse a manifest. Raises AwsError InvalidParameterException that names the problem.

    Args:
        text: exactly as it was sent, because its digest is that of these bytes.
        media_type: the media type in the request, for manifests without a `mediaType`.

    >>> read_manifest('{"layers": [], "config": {"digest": "sha256:ab"}}', OCI_MANIFEST).blobs
    {'sha256:ab': ''}
    """
    members, data = _members(text)
    media_type = _media_type(members.get("mediaType"), media_type)
    _check_one_kind(members, media_type)

    config: dict[str, Any] = {}
    children: tuple[str, ...] = ()
    if media_type in MANIFESTS:
        config = _object(members.get("config"), "config")
    blobs = _blobs(members, config, media_type)
    if media_type in INDEXES:
        children = tuple(dict.fromkeys(map(_digest, _objects(members, "manifests"))))
    subject = members.get("subject")

    return Manifest(
        text=text,
        digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
        media_type=media_type,
        blobs=blobs,
        children=children,
        artifact_type=_text(members.get("artifactType")) or _text(config.get("mediaType")),
        subject=None if subject is None else _digest(_object(subject, "subject")),
    )


def _members(text: str) -> tuple[dict[str, Any], bytes]:
    try:
        data = text.encode()
        members: Any = json.loads(data)
    except (ValueError, RecursionError):
        # The wording is quoted in public issues.
        raise invalid_parameter(WHERE, INVALID_JSON) from None
    return _object(members, "it"), data


def _media_type(own: object, given: str | None) -> str:
    media_type = own if own is not None else given
    # ECR model: the documentation of PutImage's imageManifestMediaType. The wording is quoted in
    # public issues, although it does not say so.
    if media_type is None:
        raise invalid_parameter(WHERE, INVALID_JSON)
    # Assumed.
    if given is not None and given != media_type:
        raise invalid_parameter(WHERE_TYPE, "must be the mediaType of the manifest")
    # Assumed.
    if media_type not in MEDIA_TYPES:
        raise invalid_parameter(WHERE, f"its media type must be one of {', '.join(MEDIA_TYPES)}")
    return str(media_type)


def _check_one_kind(members: dict[str, Any], media_type: str) -> None:
    """Reject a manifest that some clients pull as an image and others as an index.

    Source: the OCI's advisory CVE-2021-41190, after which clients reject such a document. It is
        assumed that ECR rejects it, too.
    """
    own = {"layers", "config"}
    if media_type in INDEXES:
        own = {"manifests"}
    elif media_type in SCHEMA_1:
        own = {"fsLayers", "config"}

    others = {"manifests", "layers", "fsLayers", "config"} - own
    if both := sorted(name for name in others if members.get(name) is not None):
        raise invalid_parameter(WHERE, f"a manifest of type {media_type} must not have {both[0]}")


def _blobs(members: dict[str, Any], config: dict[str, Any], media_type: str) -> dict[str, str]:
    if media_type in INDEXES:
        return {}
    if media_type in SCHEMA_1:
        return {_digest(each, "blobSum"): "" for each in _objects(members, "fsLayers")}

    # A layer with urls is a foreign layer, which other servers store.
    layers = [each for each in _objects(members, "layers") if not each.get("urls")]
    return {_digest(each): _text(each.get("mediaType")) or "" for each in [config, *layers]}


def _objects(members: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = members.get(name)
    if not isinstance(value, list):
        raise invalid_parameter(WHERE, f"{name} must be a list")
    items: list[Any] = [*value]
    return [_object(each, f"each of {name}") for each in items]


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid_parameter(WHERE, f"{name} must be an object")
    return cast("dict[str, Any]", value)


def _digest(descriptor: dict[str, Any], name: str = "digest") -> str:
    digest = descriptor.get(name)
    if not isinstance(digest, str) or not DIGEST(digest):
        raise invalid_parameter(WHERE, f"each {name} must be a digest")
    return digest.lower()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
