"""The behaviour of ECR's layer API, pure: AWS-shaped requests in, AWS-shaped answers out. No I/O, and told the time.

Requests come here already checked against the service model (`_validation`). What ECR does is taken from AWS's documentation
and from clients that run against the real service; where neither says, the comment says "assumed".
"""

from __future__ import annotations

import base64
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ._error import AwsError, invalid_parameter
from ._uploads import PART_SIZE, Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

DEFAULT_MEDIA_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"  # uploads carry none; assumed
DEFAULT_PAGE = 100  # AWS documentation: DescribeRepositories without maxResults
DIGEST = re.compile(r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+").fullmatch  # ECR model: LayerDigest
OPERATIONS = (
    "BatchCheckLayerAvailability",
    "CompleteLayerUpload",
    "CreateRepository",
    "DescribeRepositories",
    "InitiateLayerUpload",
    "UploadLayerPart",
)

AbsentAs = Literal["unavailable", "missing"]
Row = dict[str, Any]


@dataclass(slots=True)
class StoredLayer:
    """A layer that a repository holds; its digest is in lower case, as registries hold them."""

    digest: str
    size: int
    media_type: str
    archived: bool = False

    def row(self) -> Row:
        """Return the layer as `BatchCheckLayerAvailability` reports it."""
        availability = "ARCHIVED" if self.archived else "AVAILABLE"
        return {"layerDigest": self.digest, "layerAvailability": availability, "layerSize": self.size, "mediaType": self.media_type}


@dataclass(slots=True)
class StoredRepository:
    """A repository: what describes it, its layers and the uploads under way."""

    description: Row
    layers: dict[str, StoredLayer] = field(default_factory=dict[str, StoredLayer])
    uploads: dict[str, Upload] = field(default_factory=dict[str, Upload])


class Registry:
    """The repositories, layers and uploads of one Region.

    `account` is the registry meant by a request that names none; a request or a test may name others. `absent` says how a
    layer that is not held is answered: "unavailable" as ECR does, "missing" as emulators do. `now` tells the time in epoch
    seconds, and `new_id` makes upload ids.

    >>> registry = Registry(account="123456789012", region="us-east-1")
    >>> _ = registry.run("CreateRepository", {"repositoryName": "app"})
    >>> registry.run("BatchCheckLayerAvailability", {"repositoryName": "app", "layerDigests": ["sha256:00"]})
    {'layers': [{'layerDigest': 'sha256:00', 'layerAvailability': 'UNAVAILABLE'}], 'failures': []}
    """

    def __init__(
        self,
        *,
        account: str,
        region: str,
        absent: AbsentAs = "unavailable",
        now: Callable[[], float] = lambda: 0.0,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        """Start without any repository."""
        self.account = account
        self.region = region
        self.absent = absent
        self._now = now
        self._new_id = new_id
        self._repositories: dict[tuple[str, str], StoredRepository] = {}
        self._operations: Mapping[str, Callable[[Mapping[str, Any]], Row]] = {
            "BatchCheckLayerAvailability": self._check,
            "CompleteLayerUpload": self._complete_upload,
            "CreateRepository": self._create_repository,
            "DescribeRepositories": self._describe_repositories,
            "InitiateLayerUpload": self._initiate_upload,
            "UploadLayerPart": self._upload_part,
        }

    def run(self, operation: str, request: Mapping[str, Any]) -> Row:
        """Run one operation and return its answer. Raises AwsError, UnknownOperationException included."""
        if operation not in self._operations:
            code = "UnknownOperationException"
            raise AwsError(code, f"The local ECR does not serve {operation[:200]!r}; it serves {', '.join(OPERATIONS)}")
        return self._operations[operation](request)

    def repository(self, name: str, registry_id: str | None = None) -> StoredRepository:
        """Return a repository. Raises AwsError RepositoryNotFoundException."""
        registry_id = registry_id or self.account
        stored = self._repositories.get((registry_id, name))
        if stored is None:
            code = "RepositoryNotFoundException"
            raise AwsError(code, f"The repository with name '{name}' does not exist in the registry with id '{registry_id}'")
        return stored

    def has_repository(self, name: str, registry_id: str | None = None) -> bool:
        """Tell whether there is such a repository."""
        return (registry_id or self.account, name) in self._repositories

    # -- operations ---------------------------------------------------------------------------------------------------

    def _check(self, request: Mapping[str, Any]) -> Row:
        held = self._of(request).layers
        layers: list[Row] = []
        failures: list[Row] = []
        for digest in request["layerDigests"]:
            layer = held.get(digest)  # as it is spelled: an upper-case digest is not held
            if layer is not None:
                layers.append(layer.row())
            elif (refusal := self._refusal(digest)) is None:
                layers.append({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"})
            else:
                failures.append({"layerDigest": digest, "failureCode": refusal[0], "failureReason": refusal[1]})
        return {"layers": layers, "failures": failures}

    def _refusal(self, digest: str) -> tuple[str, str] | None:
        if not digest:
            return "MissingLayerDigest", "No layer digest was specified."  # assumed
        if not DIGEST(digest):
            return "InvalidLayerDigest", "The specified layer digest is not valid."  # assumed
        if self.absent == "missing":
            return "MissingLayerDigest", "The specified layer digest does not exist."
        return None

    def _create_repository(self, request: Mapping[str, Any]) -> Row:
        name, registry_id = request["repositoryName"], request.get("registryId", self.account)
        if (registry_id, name) in self._repositories:
            code = "RepositoryAlreadyExistsException"
            raise AwsError(code, f"The repository with name '{name}' already exists in the registry with id '{registry_id}'")
        stored = StoredRepository(self._description(name, registry_id, request))
        self._repositories[registry_id, name] = stored
        return {"repository": dict(stored.description)}

    def _describe_repositories(self, request: Mapping[str, Any]) -> Row:
        names: list[str] | None = request.get("repositoryNames")
        registry_id = request.get("registryId", self.account)
        if names is None:
            return self._page(registry_id, _after(request.get("nextToken")), request.get("maxResults", DEFAULT_PAGE))
        for member in ("nextToken", "maxResults"):
            if member in request:  # AWS documentation of both members
                raise invalid_parameter(member, "cannot be used when repositories are specified with repositoryNames")
        return {"repositories": [dict(self.repository(name, registry_id).description) for name in names]}

    def _page(self, registry_id: str, after: str, size: int) -> Row:
        names = sorted(name for registry, name in self._repositories if registry == registry_id and name > after)
        page = names[:size]
        answer: Row = {"repositories": [dict(self._repositories[registry_id, name].description) for name in page]}
        if len(names) > size:
            answer["nextToken"] = base64.urlsafe_b64encode(page[-1].encode()).decode()
        return answer

    def _initiate_upload(self, request: Mapping[str, Any]) -> Row:
        repository = self._of(request)
        upload_id = self._new_id()
        description = repository.description
        repository.uploads[upload_id] = Upload(description["repositoryName"], description["registryId"], upload_id)
        return {"uploadId": upload_id, "partSize": PART_SIZE}

    def _upload_part(self, request: Mapping[str, Any]) -> Row:
        upload = self._upload(self._of(request), request["uploadId"])
        last = upload.add(request["partFirstByte"], request["partLastByte"], request["layerPartBlob"])
        return {**_identity(upload), "lastByteReceived": last}

    def _complete_upload(self, request: Mapping[str, Any]) -> Row:
        repository = self._of(request)
        upload = self._upload(repository, request["uploadId"])
        digest = upload.digest()
        if digest not in {asked.lower() for asked in request["layerDigests"]}:
            message = "The layer digest calculation performed by Amazon ECR does not match the digest specified"
            code = "InvalidLayerException"
            raise AwsError(code, f"{message}: the bytes received have {digest}")
        del repository.uploads[upload.upload_id]  # a refused digest may be mended; an existing layer ends the upload: assumed
        held = repository.layers.get(digest)
        if held is not None and not held.archived:  # AWS documentation: pushing again restores what is archived
            where = _place(repository)
            code = "LayerAlreadyExistsException"
            raise AwsError(code, f"The layer with digest '{digest}' already exists in {where}")
        repository.layers[digest] = StoredLayer(digest, upload.received, DEFAULT_MEDIA_TYPE)
        return {**_identity(upload), "layerDigest": digest}

    # -- parts of them ------------------------------------------------------------------------------------------------

    def _of(self, request: Mapping[str, Any]) -> StoredRepository:
        return self.repository(request["repositoryName"], request.get("registryId"))

    def _upload(self, repository: StoredRepository, upload_id: str) -> Upload:
        upload = repository.uploads.get(upload_id)
        if upload is None:
            where = _place(repository)
            code = "UploadNotFoundException"
            raise AwsError(code, f"The upload with id '{upload_id}' does not exist in {where}")
        return upload

    def _description(self, name: str, registry_id: str, request: Mapping[str, Any]) -> Row:
        partition, suffix = _partition(self.region)
        description = {
            "repositoryArn": f"arn:{partition}:ecr:{self.region}:{registry_id}:repository/{name}",
            "registryId": registry_id,
            "repositoryName": name,
            "repositoryUri": f"{registry_id}.dkr.ecr.{self.region}.{suffix}/{name}",
            "createdAt": self._now(),
            "imageTagMutability": request.get("imageTagMutability", "MUTABLE"),
            "imageScanningConfiguration": {"scanOnPush": False} | request.get("imageScanningConfiguration", {}),
            "encryptionConfiguration": request.get("encryptionConfiguration", {"encryptionType": "AES256"}),
        }
        filters = request.get("imageTagMutabilityExclusionFilters")
        return description if filters is None else {**description, "imageTagMutabilityExclusionFilters": filters}


def store(repository: StoredRepository, layers: Iterable[StoredLayer]) -> None:
    """Put layers into a repository, over those of the same digest."""
    repository.layers.update((layer.digest, layer) for layer in layers)


def _place(repository: StoredRepository) -> str:
    name, registry_id = repository.description["repositoryName"], repository.description["registryId"]
    return f"the repository with name '{name}' in the registry with id '{registry_id}'"


def _identity(upload: Upload) -> Row:
    return {"registryId": upload.registry_id, "repositoryName": upload.repository, "uploadId": upload.upload_id}


def _after(token: str | None) -> str:
    try:
        return "" if token is None else base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        where = "nextToken"
        raise invalid_parameter(where, "must be a token that an earlier page returned") from None


def _partition(region: str) -> tuple[str, str]:
    if region.startswith("cn-"):
        return "aws-cn", "amazonaws.com.cn"
    return ("aws-us-gov" if region.startswith("us-gov-") else "aws"), "amazonaws.com"
