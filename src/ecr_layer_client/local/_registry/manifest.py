"""What a manifest says: its media type, and the blobs or images that it names. Pure.

Its bytes are never written anew.
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
MEDIA_TYPES = (
    *MANIFESTS,
    *INDEXES,
    *SCHEMA_1,
)  # AWS documentation: container image manifest formats

DIGEST_PATTERN = r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+"  # ECR model: LayerDigest
DIGEST = re.compile(DIGEST_PATTERN).fullmatch
WHERE_TYPE = "imageManifestMediaType"
WHERE = "imageManifest"  # what is said of it is assumed, but for "Invalid JSON syntax"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read.

    `blobs` are its config and layers, `children` the images that it lists, `foreign` ones left out.
    """

    text: str
    digest: str
    media_type: str
    blobs: dict[str, str] = field(default_factory=dict[str, str])  # digest -> media type
    children: tuple[str, ...] = ()
    artifact_type: str | None = None
    subject: str | None = None

    def image(self, pushed_at: float) -> StoredImage:
        """Return the image that it makes."""
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
    """Read a manifest. Raises AwsError InvalidParameterException that says what is wrong with it.

    Args:
        text: exactly as it was sent: its digest is that of these bytes.
        media_type: what the request says that it is, for manifests that don't say so themselves.

    >>> read_manifest('{"layers": [], "config": {"digest": "sha256:ab"}}', OCI_MANIFEST).blobs
    {'sha256:ab': ''}
    """
    members, data = _members(text)
    media_type = _media_type(members.get("mediaType"), media_type)
    _check_that_it_is_one_thing(members, media_type)
    config: dict[str, Any] = (
        _object(members.get("config"), "config") if media_type in MANIFESTS else {}
    )
    return Manifest(
        text=text,
        digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
        media_type=media_type,
        blobs=_blobs(members, config, media_type),
        children=tuple(dict.fromkeys(_digest(each) for each in _objects(members, "manifests")))
        if media_type in INDEXES
        else (),
        artifact_type=_text(members.get("artifactType")) or _text(config.get("mediaType")),
        subject=_digest(_object(members["subject"], "subject"))
        if members.get("subject") is not None
        else None,
    )


def _members(text: str) -> tuple[dict[str, Any], bytes]:
    try:
        data = text.encode()
        members: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise invalid_parameter(
            WHERE, "Invalid JSON syntax"
        ) from None  # wording quoted in public issues
    return _object(members, "it"), data


def _media_type(own: object, said: str | None) -> str:
    media_type = own if own is not None else said
    if media_type is None:  # ECR model: the documentation of PutImage's imageManifestMediaType
        raise invalid_parameter(WHERE, "it has no mediaType, so imageManifestMediaType must say it")
    if said is not None and said != media_type:  # assumed
        raise invalid_parameter(WHERE_TYPE, "must be the mediaType of the manifest")
    if media_type not in MEDIA_TYPES:  # assumed
        raise invalid_parameter(WHERE, f"its media type must be one of {', '.join(MEDIA_TYPES)}")
    return str(media_type)


def _check_that_it_is_one_thing(members: dict[str, Any], media_type: str) -> None:
    """Refuse what one client would pull as an image and another as an index.

    Source: the OCI's advisory CVE-2021-41190, after which clients refuse such a document; that ECR
        does, too, is assumed.
    """
    own = (
        "manifests" if media_type in INDEXES else "fsLayers" if media_type in SCHEMA_1 else "layers"
    )
    foreign = {"manifests", "layers", "fsLayers", "config"} - (
        {own} if own == "manifests" else {own, "config"}
    )
    if both := sorted(name for name in foreign if members.get(name) is not None):
        raise invalid_parameter(WHERE, f"a manifest of type {media_type} must not have {both[0]}")


def _blobs(members: dict[str, Any], config: dict[str, Any], media_type: str) -> dict[str, str]:
    if media_type in INDEXES:
        return {}
    if media_type in SCHEMA_1:
        return {_digest(each, "blobSum"): "" for each in _objects(members, "fsLayers")}
    descriptors = [
        config,
        *(each for each in _objects(members, "layers") if not each.get("urls")),
    ]  # what has urls is held elsewhere
    return {_digest(each): _text(each.get("mediaType")) or "" for each in descriptors}


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
