"""Error responses of `/v2/`: the OCI's JSON, with the codes and statuses that ECR sends.

The sources are public issues that quote ECR's responses. "assumed" marks the others.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from ecr_layer_client.local._protocol import Reply, json_bytes

if TYPE_CHECKING:
    from ecr_layer_client.local._registry.errors import AwsError

# Every response of ECR has this header.
API_VERSION = {"docker-distribution-api-version": "registry/2.0"}
JSON = "application/json; charset=utf-8"

# Code of ECR's API -> status and code of `/v2/`. "assumed" marks what no source shows.
_CODES: Final[dict[str, tuple[int, str]]] = {
    "AccessDeniedException": (403, "DENIED"),
    "EmptyUploadException": (400, "BLOB_UPLOAD_INVALID"),  # assumed
    "ExpiredTokenException": (403, "DENIED"),
    "ImageDigestDoesNotMatchException": (400, "DIGEST_INVALID"),  # assumed
    "ImageInaccessible": (404, "MANIFEST_UNKNOWN"),  # assumed
    "ImageNotFound": (404, "MANIFEST_UNKNOWN"),
    "ImageReferencedByManifestList": (405, "UNSUPPORTED"),  # assumed
    "ImageTagAlreadyExistsException": (400, "TAG_INVALID"),
    "InvalidImageDigest": (400, "DIGEST_INVALID"),  # assumed
    "InvalidImageTag": (400, "TAG_INVALID"),  # the status is quoted, the code is assumed
    "InvalidLayerException": (400, "BLOB_UPLOAD_INVALID"),
    "InvalidLayerPartException": (416, "BLOB_UPLOAD_INVALID"),
    "InvalidParameterException": (405, "UNSUPPORTED"),
    "InvalidRange": (416, "UNSUPPORTED"),  # assumed
    "LayerInaccessibleException": (404, "BLOB_UNKNOWN"),  # assumed
    "LayerPartTooSmallException": (400, "BLOB_UPLOAD_INVALID"),  # assumed
    "LayersNotFoundException": (404, "BLOB_UPLOAD_UNKNOWN"),  # the status is assumed
    "LimitExceededException": (403, "DENIED"),  # assumed
    "ReferencedImagesNotFoundException": (404, "MANIFEST_UNKNOWN"),  # assumed
    "RepositoryNotFoundException": (404, "NAME_UNKNOWN"),
    "ServerException": (500, "UNKNOWN"),  # assumed
    "ThrottlingException": (429, "TOOMANYREQUESTS"),
    "UnknownOperationException": (404, "UNSUPPORTED"),  # assumed
    "UnrecognizedClientException": (401, "UNAUTHORIZED"),
    "UploadNotFoundException": (404, "BLOB_UPLOAD_UNKNOWN"),  # assumed
}


def error_reply(error: AwsError) -> Reply:
    """Return the error response of `/v2/`.

    A status other than 400, such as that of a fault, is kept.
    """
    status, code = _CODES.get(error.code, (error.status, "UNKNOWN"))
    if error.status != HTTPStatus.BAD_REQUEST:
        status = error.status
    body: Any = {"errors": [{"code": code, "message": error.message}]}
    headers = {**API_VERSION, "content-type": JSON}
    if "allow" in error.members:
        headers["allow"] = str(error.members["allow"])
    return Reply(status, headers, json_bytes(body), code)
