"""ECR's operations on the layers of one repository: check, upload, and the way to a download."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Literal

from .errors import AwsError
from .manifest import DIGEST
from .state import DEFAULT_MEDIA_TYPE, Row, StoredLayer, StoredRepository
from .uploads import PART_SIZE, Upload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .blob_store import Store

AbsentAs = Literal["unavailable", "missing"]


class Layers:
    """The operations on layers. `absent` says how a layer that is not held is answered."""

    def __init__(self, store: Store, absent: AbsentAs) -> None:
        """Keep the bytes of layers in `store`."""
        self._absent = absent
        self._store = store

    def check(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run BatchCheckLayerAvailability."""
        held = repository.layers
        layers: list[Row] = []
        failures: list[Row] = []
        for digest in request["layerDigests"]:
            layer = held.get(digest)  # as it is spelled: an upper-case digest is not held
            if layer is not None:
                layers.append(layer.row())
            elif (refusal := self._refusal(digest)) is None:
                layers.append({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"})
            else:
                failures.append(
                    {"layerDigest": digest, "failureCode": refusal[0], "failureReason": refusal[1]}
                )
        return {"layers": layers, "failures": failures}

    def initiate(self, repository: StoredRepository, _request: Mapping[str, Any]) -> Row:
        """Run InitiateLayerUpload."""
        upload_id = str(uuid.uuid4())
        repository.uploads[upload_id] = Upload(
            repository.name, repository.registry_id, upload_id, self._store.draft()
        )
        return {"uploadId": upload_id, "partSize": PART_SIZE}

    def upload_part(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run UploadLayerPart."""
        upload = _upload(repository, request["uploadId"])
        last = upload.add(
            request["partFirstByte"], request["partLastByte"], request["layerPartBlob"]
        )
        return {**_identity(upload), "lastByteReceived": last}

    def complete(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run CompleteLayerUpload."""
        upload = _upload(repository, request["uploadId"])
        digest = upload.digest()
        if digest not in {asked.lower() for asked in request["layerDigests"]}:
            message = "The layer digest calculation performed by Amazon ECR does not match the digest specified"
            code = "InvalidLayerException"
            raise AwsError(code, f"{message}: the bytes received have {digest}")
        del repository.uploads[
            upload.upload_id
        ]  # a refused digest may be mended; an existing layer ends the upload: assumed
        upload.keep()
        held = repository.layers.get(digest)
        if (
            held is not None and not held.archived
        ):  # AWS documentation: pushing again restores what is archived
            code = "LayerAlreadyExistsException"
            raise repository.refusal(code, f"The layer with digest '{digest}' already exists in")
        repository.hold([StoredLayer(digest, upload.received, DEFAULT_MEDIA_TYPE)])
        return {**_identity(upload), "layerDigest": digest}

    def download(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run GetDownloadUrlForLayer, but for the URL: the service makes it, for it knows by which name it was reached."""
        digest = request["layerDigest"].lower()
        layer = repository.layers.get(digest)
        if layer is None:  # wording quoted in public issues
            code = "LayersNotFoundException"
            raise repository.refusal(
                code, f"The layer with digest '{digest}' does not exist within"
            )
        if why := self._why_inaccessible(repository, layer):
            code = "LayerInaccessibleException"
            raise repository.refusal(
                code, f"The layer with digest '{digest}' is not available, because {why}, in"
            )
        return {"layerDigest": digest}

    def _why_inaccessible(self, repository: StoredRepository, layer: StoredLayer) -> str | None:
        if layer.archived:  # assumed: AWS documentation says only that a pull fails
            return "it is archived"
        if not any(
            layer.digest in image.blobs for image in repository.images.values()
        ):  # ECR model: LayerInaccessibleException
            return "it is not associated with an image"
        if self._store.get(layer.digest) is None:  # not ECR's: a layer that was seeded here
            return "the local ECR was given its digest and size, not its bytes"
        return None

    def _refusal(self, digest: str) -> tuple[str, str] | None:
        if not digest:
            return "MissingLayerDigest", "No layer digest was specified."  # assumed
        if not DIGEST(digest):
            return "InvalidLayerDigest", "The specified layer digest is not valid."  # assumed
        if self._absent == "missing":
            return "MissingLayerDigest", "The specified layer digest does not exist."
        return None


def _upload(repository: StoredRepository, upload_id: str) -> Upload:
    upload = repository.uploads.get(upload_id)
    if upload is None:
        code = "UploadNotFoundException"
        raise repository.refusal(code, f"The upload with id '{upload_id}' does not exist in")
    return upload


def _identity(upload: Upload) -> Row:
    return {
        "registryId": upload.registry_id,
        "repositoryName": upload.repository,
        "uploadId": upload.upload_id,
    }
