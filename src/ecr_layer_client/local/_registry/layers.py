"""ECR's operations on the layers of one repository: check, upload and download."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Literal

from .blob_store import Draft
from .errors import AwsError, invalid_parameter
from .limits import PART_SIZE, Limits
from .manifest import DIGEST
from .state import DEFAULT_MEDIA_TYPE, Row, StoredLayer, StoredRepository
from .uploads import Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .blob_store import Store

# A member that faults add to a request of UploadLayerPart. The service model has none of this name.
ACCEPTED_BYTES = "acceptedBytes"

AbsentAs = Literal["unavailable", "missing"]


class Layers:
    """The operations on layers. `absent` selects the response for an absent layer.

    `now` returns the time in epoch seconds.
    """

    def __init__(
        self, store: Store, now: Callable[[], float], absent: AbsentAs, limits: Limits
    ) -> None:
        """Keep the bytes of layers in `store`."""
        self._now = now
        self._absent = absent
        self._limits = limits
        self._store = store

    def check(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run BatchCheckLayerAvailability."""
        held, now = repository.layers, self._now()
        layers: list[Row] = []
        failures: list[Row] = []
        for digest in request["layerDigests"]:
            # A digest in upper case is absent, because the lookup does not change its case.
            layer = held.get(digest)
            if layer is not None:
                layers.append(layer.row(now))
            elif (failure := self._failure(digest)) is None:
                layers.append({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"})
            else:
                failures.append(
                    {"layerDigest": digest, "failureCode": failure[0], "failureReason": failure[1]}
                )

        return {"layers": layers, "failures": failures}

    def initiate(self, repository: StoredRepository, _request: Mapping[str, Any]) -> Row:
        """Run InitiateLayerUpload."""
        upload_id = str(uuid.uuid4())
        repository.uploads[upload_id] = Upload(
            repository.name,
            repository.registry_id,
            upload_id,
            self._store.draft(),
            self._limits,
        )
        return {"uploadId": upload_id, "partSize": min(PART_SIZE, self._limits.part_size)}

    def upload_part(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run UploadLayerPart. A fault may limit how many bytes of the part are accepted."""
        upload = _upload(repository, request["uploadId"])
        first, last = request["partFirstByte"], request["partLastByte"]
        data = request["layerPartBlob"]
        if len(data) > self._limits.part_size and not isinstance(data, Draft):
            # Assumed: the words are those of the model's limit.
            where, rule = "layerPartBlob", "Member must have length less than or equal to"
            raise invalid_parameter(where, f"{rule} {self._limits.part_size}")

        with upload.lock:
            # It may have ended meanwhile.
            _upload(repository, upload.upload_id)
            last = upload.add(first, last, data, request.get(ACCEPTED_BYTES))
        return {**_identity(upload), "lastByteReceived": last}

    def complete(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run CompleteLayerUpload."""
        upload = _upload(repository, request["uploadId"])
        with upload.lock:
            digest = _keep(upload, request["layerDigests"])
            # Assumed: after a wrong digest the upload continues, and a layer that exists ends it.
            del repository.uploads[upload.upload_id]

        held = repository.layers.get(digest)
        # AWS documentation: pushing a layer again restores an archived one.
        if held is not None and not held.is_archived(self._now()):
            code = "LayerAlreadyExistsException"
            raise repository.error(code, f"The layer with digest '{digest}' already exists in")
        repository.hold([StoredLayer(digest, upload.received, DEFAULT_MEDIA_TYPE)])
        return {**_identity(upload), "layerDigest": digest}

    def download(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run GetDownloadUrlForLayer, without the URL.

        The service adds the URL, because the service knows the host that the caller used.
        """
        digest = request["layerDigest"].lower()
        layer = repository.layers.get(digest)
        if layer is None:
            # The wording is quoted in public issues.
            code = "LayersNotFoundException"
            what = f"The layer with digest '{digest}' does not exist within"
            raise repository.error(code, what)

        if why := self._why_inaccessible(repository, layer):
            code = "LayerInaccessibleException"
            what = f"The layer with digest '{digest}' is not available, because {why}, in"
            raise repository.error(code, what)
        return {"layerDigest": digest}

    def _why_inaccessible(self, repository: StoredRepository, layer: StoredLayer) -> str | None:
        # Assumed: AWS documentation says only that a pull fails.
        if layer.is_archived(self._now()):
            return "it is archived"
        # ECR model: LayerInaccessibleException.
        if not any(layer.digest in image.blobs for image in repository.images_naming(layer.digest)):
            return "it is not associated with an image"
        # ECR has no such case: the layer was seeded without its bytes.
        if self._store.get(layer.digest) is None:
            return "the local ECR was given its digest and size, not its bytes"
        return None

    def _failure(self, digest: str) -> tuple[str, str] | None:
        if not digest:
            return "MissingLayerDigest", "No layer digest was specified."  # assumed
        if not DIGEST(digest):
            return "InvalidLayerDigest", "The specified layer digest is not valid."  # assumed
        if self._absent == "missing":
            return "MissingLayerDigest", "The specified layer digest does not exist."
        return None


def is_mountable(
    digest: str, source: StoredRepository, target: StoredRepository, now: float
) -> bool:
    """Return whether a layer of one repository can be added to another one.

    AWS documentation of blob mounting: both have the same encryption, and an image of the source
    refers to the layer. Assumed: an archived layer cannot be added.
    """
    encryption = "encryptionConfiguration"
    layer = source.layers.get(digest)
    return (
        layer is not None
        and not layer.is_archived(now)
        and source.description[encryption] == target.description[encryption]
        and any(digest in image.blobs for image in source.images_naming(digest))
    )


def _keep(upload: Upload, digests: list[str]) -> str:
    """Put the bytes of a complete upload into the store, and return their digest."""
    digest = upload.digest()
    if digest not in {asked.lower() for asked in digests}:
        code = "InvalidLayerException"
        message = (
            "The layer digest calculation performed by Amazon ECR does not match the digest "
            f"specified: the bytes received have {digest}"
        )
        raise AwsError(code, message)

    upload.keep()
    return digest


def _upload(repository: StoredRepository, upload_id: str) -> Upload:
    upload = repository.uploads.get(upload_id)
    if upload is None:
        code = "UploadNotFoundException"
        raise repository.error(code, f"The upload with id '{upload_id}' does not exist in")
    return upload


def _identity(upload: Upload) -> Row:
    return {
        "registryId": upload.registry_id,
        "repositoryName": upload.repository,
        "uploadId": upload.upload_id,
    }
