"""Contents that a test adds to a local ECR without a request: repositories, layers, images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol, cast

from ecr_layer_client._models.public_repository import any_repository
from ecr_layer_client._models.repository import service_of
from ecr_layer_client._models.services import ECR_PUBLIC

from ._registry.errors import AwsError
from ._registry.manifest import DIGEST, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from ._registry.state import DEFAULT_MEDIA_TYPE, StoredLayer, StoredRepository
from ._validation import request_parser

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from ecr_layer_client._models.repository import Repository

    from ._registry.public import PublicRegistry
    from ._registry.registry import Registry

ManifestLike = bytes | str | dict[str, Any]


class Contents:
    """The contents of the registries of a `LocalECR`, to change from outside.

    `LocalECR` documents the methods.
    """

    def __init__(self, registries: Sequence[Registry], public: PublicRegistry) -> None:
        """Change these registries. A repository without a Region belongs to the first one.

        Those that are named as in ECR Public belong to `public`.
        """
        self._public = public
        self._registries = {registry.region: registry for registry in registries}
        self._first = registries[0]

    def create_repository(self, repository: str | Repository, registry_id: str | None) -> str:
        """Make sure that a repository exists, and return its URI. Raises ValueError."""
        with self._changing(repository, registry_id) as stored:
            return str(stored.description["repositoryUri"])

    def seed(
        self,
        repository: str | Repository,
        descriptors: Iterable[Descriptor],
        registry_id: str | None,
    ) -> None:
        """Add layers of which only the digest and the size are known. Raises ValueError."""
        layers = [stored_layer(descriptor) for descriptor in descriptors]
        with self._changing(repository, registry_id) as stored:
            stored.hold(layers)

    def put_layer(
        self, repository: str | Repository, data: bytes, media_type: str, registry_id: str | None
    ) -> str:
        """Add a layer of these bytes, and return its digest. Raises ValueError."""
        with self._changing(repository, registry_id) as stored:
            registry, _ = self._place(repository, registry_id)
            stored.hold([layer := _put(registry, data, media_type)])
            return layer.digest

    def put_image(
        self,
        repository: str | Repository,
        manifest: ManifestLike,
        tag: str | None,
        registry_id: str | None,
    ) -> str:
        """Run PutImage on a repository, created if absent, and return the digest of the image.

        Raises ValueError.
        """
        registry, place = self._place(repository, registry_id)
        parse = request_parser("PutImage", registry.service.name)
        text = _text(manifest)
        request = {
            "repositoryName": place.name,
            "registryId": place.registry_id,
            "imageManifest": text,
            "imageTag": tag,
        }

        with self._changing(repository, registry_id):
            try:
                image = registry.run("PutImage", parse(request))["image"]
            except AwsError as error:
                if error.code != "ImageAlreadyExistsException":
                    raise ValueError(str(error)) from None
                return f"sha256:{sha256(text.encode()).hexdigest()}"

        return str(image["imageId"]["imageDigest"])

    def seed_image(
        self,
        repository: str | Repository,
        layers: Iterable[bytes | Descriptor],
        tag: str | None,
        registry_id: str | None,
    ) -> str:
        """Add an image of these layers with a generated config and manifest; return its digest.

        Raises ValueError.
        """
        with self._changing(repository, registry_id) as stored:
            registry, _ = self._place(repository, registry_id)
            held = [self._layer(registry, each) for each in layers]
            rootfs = {"type": "layers", "diff_ids": [layer.digest for layer in held]}
            config_data = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs})
            config = replace(self._layer(registry, config_data.encode()), media_type=OCI_CONFIG)
            stored.hold([*held, config])

        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _descriptor(config),
            "layers": list(map(_descriptor, held)),
        }
        return self.put_image(repository, manifest, tag, registry_id)

    def archive(self, repository: str | Repository, digest: str, registry_id: str | None) -> None:
        """Archive an image, or a layer. Raises LookupError, and ValueError in ECR Public."""
        registry, place = self._place(repository, registry_id)
        if registry is self._public:
            message = f"{str(repository)!r} is in ECR Public, which archives no images"
            raise ValueError(message)
        try:
            registry.archive(place.name, digest.lower(), place.registry_id)
        except (AwsError, KeyError):
            message = (
                f"the repository {place.name!r:.256} has neither a layer nor an image with the "
                f"digest {digest!r:.200}"
            )
            raise LookupError(message) from None

    def _layer(self, registry: Registry, layer: bytes | Descriptor) -> StoredLayer:
        if isinstance(layer, bytes):
            return _put(registry, layer, OCI_LAYER)
        return stored_layer(layer)

    @contextmanager
    def _changing(
        self, repository: str | Repository, registry_id: str | None
    ) -> Generator[StoredRepository]:
        registry, place = self._place(repository, registry_id)
        with registry.changing(place.name, place.registry_id) as stored:
            yield stored

    def _place(
        self, repository: str | Repository, registry_id: str | None
    ) -> tuple[Registry, Repository]:
        place = any_repository(repository)
        if registry_id is not None:
            place = type(place)(name=place.name, registry_id=registry_id, region=place.region)
        if service_of(place) is ECR_PUBLIC:
            return self._place_in_public(place)

        registry: Registry | None = self._registries.get(place.region or self._first.region)
        if registry is None:
            message = (
                f"this LocalECR serves {', '.join(self._registries)} and not {place.region}: "
                "add the Region with LocalECR(regions=...)"
            )
            raise ValueError(message)

        # A registry that was closed must not write into a directory that another one locked.
        registry.open()
        return registry, place

    def _place_in_public(self, place: Repository) -> tuple[Registry, Repository]:
        registry_id = place.registry_id
        if registry_id == self._public.alias:
            registry_id = self._public.account
        elif registry_id is not None and not registry_id.isdigit():
            message = (
                f"this LocalECR has the alias {self._public.alias!r} in ECR Public, and not "
                f"{registry_id!r}: set it with LocalECR(public_alias=...)"
            )
            raise ValueError(message)
        self._public.open()
        return self._public, place.model_copy(update={"registry_id": registry_id})


def _put(registry: Registry, data: bytes, media_type: str) -> StoredLayer:
    if not data:
        message = "a layer must have at least one byte: ECR accepts no empty layer"
        raise ValueError(message)
    return StoredLayer(registry.store.put(data), len(data), media_type)


def _text(manifest: ManifestLike) -> str:
    if isinstance(manifest, bytes):
        return manifest.decode()
    return manifest if isinstance(manifest, str) else json.dumps(manifest)


def _descriptor(layer: StoredLayer) -> dict[str, Any]:
    return {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}


class DescriptorLike(Protocol):
    """Any object with a digest, a size and a media type, such as an OCI descriptor."""

    @property
    def digest(self) -> str:
        """The layer's digest."""
        ...

    @property
    def size(self) -> int | None:
        """The layer's size in bytes."""
        ...

    @property
    def media_type(self) -> str | None:
        """The layer's media type. None means the usual media type of an image layer."""
        ...


Descriptor = tuple[str, int] | tuple[str, int, str | None] | Mapping[str, Any] | DescriptorLike


def stored_layer(descriptor: Descriptor) -> StoredLayer:
    """Return the layer that a descriptor describes.

    Raises ValueError that names the problem.

    >>> stored_layer(("sha256:AB", 5)).digest
    'sha256:ab'
    """
    digest, size, media_type = _parts(descriptor)
    if not isinstance(digest, str) or not DIGEST(digest):
        message = f"a descriptor needs a digest such as 'sha256:…' and a size: {descriptor!r:.200}"
        raise ValueError(message)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        message = f"the size of {digest!r:.200} must be a number of bytes, not {size!r:.200}"
        raise ValueError(message)
    return StoredLayer(digest.lower(), size, media_type or DEFAULT_MEDIA_TYPE)


def _parts(descriptor: Any) -> tuple[Any, Any, Any]:
    if isinstance(descriptor, Mapping):
        members = cast("Mapping[str, Any]", descriptor)
        return members.get("digest"), members.get("size"), members.get("mediaType")

    # Before tuples, because the fields of a named tuple may have another order.
    if hasattr(descriptor, "digest"):
        size = getattr(descriptor, "size", None)
        return descriptor.digest, size, getattr(descriptor, "media_type", None)

    match descriptor:
        case (digest, size):
            return digest, size, None
        case (digest, size, media_type):
            return digest, size, media_type
        case _:
            return None, None, None
