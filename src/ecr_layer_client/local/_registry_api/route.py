"""The paths of `/v2/`, and what each request to them means. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from ecr_layer_client.local._registry.errors import AwsError

ROOT = "/v2"

# An action of this API -> the operation of ECR that it counts as, in faults, quotas and statistics.
# AWS documentation of ECR's quotas names these operations for `docker push` and `docker pull`.
# An action without an operation of ECR counts as a request without an operation.
OPERATIONS: Final = {
    "ping": "",
    "catalog": "DescribeRepositories",
    "tags": "ListImages",
    "referrers": "ListImageReferrers",
    "get_manifest": "BatchGetImage",
    "put_manifest": "PutImage",
    "delete_manifest": "BatchDeleteImage",
    "check_blob": "BatchCheckLayerAvailability",
    "get_blob": "GetDownloadUrlForLayer",
    "start_upload": "InitiateLayerUpload",
    "get_upload": "",
    "continue_upload": "UploadLayerPart",
    "finish_upload": "CompleteLayerUpload",
}

# Pattern of a path -> method -> action.
_PATHS: Final[dict[str, dict[str, str]]] = {
    "/v2/?": {"GET": "ping", "HEAD": "ping"},
    "/v2/_catalog": {"GET": "catalog", "HEAD": "catalog"},
    "/v2/(.+)/tags/list": {"GET": "tags", "HEAD": "tags"},
    "/v2/(.+)/referrers/([^/]*)": {"GET": "referrers", "HEAD": "referrers"},
    "/v2/(.+)/manifests/([^/]*)": {
        "GET": "get_manifest",
        "HEAD": "get_manifest",
        "PUT": "put_manifest",
        "DELETE": "delete_manifest",
    },
    "/v2/(.+)/blobs/uploads/?": {"POST": "start_upload"},
    "/v2/(.+)/blobs/uploads/([^/]+)": {
        "GET": "get_upload",
        "PATCH": "continue_upload",
        "PUT": "finish_upload",
    },
    "/v2/(.+)/blobs/([^/]*)": {"GET": "get_blob", "HEAD": "check_blob"},
}


@dataclass(frozen=True, slots=True)
class Route:
    """The meaning of a request: its action, the repository, and a tag, digest or upload id."""

    action: str
    name: str = ""
    reference: str = ""

    @property
    def operation(self) -> str:
        """The operation of ECR that the request counts as."""
        return OPERATIONS[self.action]


def is_registry_path(path: str) -> bool:
    """Return whether a path belongs to this API.

    >>> is_registry_path("/v2/team/app/tags/list"), is_registry_path("/v2?n=1")
    (True, True)
    """
    return path.startswith(ROOT) and path[len(ROOT) : len(ROOT) + 1] in {"", "/", "?"}


def route_of(method: str, path: str) -> Route:
    """Return the meaning of a request. Raises AwsError for a path or a method that has none.

    >>> route_of("GET", "/v2/team/app/manifests/1.0")
    Route(action='get_manifest', name='team/app', reference='1.0')
    """
    path = unquote(path.partition("?")[0])
    for pattern, actions in _PATHS.items():
        if found := re.fullmatch(pattern, path):
            action = actions.get(method)
            if action is None:
                raise _not_allowed(method, sorted(actions))
            return Route(action, *found.groups())

    code = "UnknownOperationException"
    raise AwsError(code, f"The local ECR serves nothing at {path[:200]!r}", 404)


def _not_allowed(method: str, allowed: list[str]) -> AwsError:
    code = "InvalidParameterException"
    methods = ", ".join(allowed)
    message = f"ECR takes {methods} at this path, not {method[:20]!r}"
    return AwsError(code, message, 405, allow=methods)
