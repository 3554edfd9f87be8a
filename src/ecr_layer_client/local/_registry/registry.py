"""The behaviour of ECR's layer API: AWS-shaped requests in, AWS-shaped answers out.

It waits for nothing, and is told the time.

Requests come here already checked against the service model (`_validation`). What ECR does is taken
from AWS's documentation and from clients that run against the real service; where neither says, the
comment says "assumed".
"""

from __future__ import annotations

import base64
import secrets
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ecr_layer_client._models.repository import partition_of

from .blob_store import Store
from .errors import AwsError, invalid_parameter
from .images import Images
from .layers import AbsentAs, Layers
from .paging import page_of
from .persistence import Records
from .state import Row, StoredRepository

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

OPERATIONS = (
    "BatchCheckLayerAvailability",
    "BatchDeleteImage",
    "BatchGetImage",
    "CompleteLayerUpload",
    "CreateRepository",
    "DeleteRepository",
    "DescribeImages",
    "DescribeRepositories",
    "GetAuthorizationToken",
    "GetDownloadUrlForLayer",
    "InitiateLayerUpload",
    "ListImages",
    "PutImage",
    "UploadLayerPart",
)
CHANGING = {"BatchDeleteImage", "CompleteLayerUpload", "PutImage"}  # what is in a repository
TOKEN_LIFETIME = 12 * 3600  # seconds; ECR model: GetAuthorizationToken
MAX_TAGS = 50  # ECR model: TooManyTagsException
MAX_TAG_KEY, MAX_TAG_VALUE = 128, 256  # ECR model: InvalidTagParameterException


class Registry:
    """What one Region holds: the repositories of every account, and the operations on them.

    `account` is the registry meant by a request that names none; a request or a test may name
    others, each with repositories of its own, and may use them as if a policy of theirs allowed it.
    `absent` says how a layer that is not held is answered: "unavailable" as ECR does, "missing" as
    emulators do. `now` tells the time in epoch seconds. In `directory` all is kept that must
    outlive this object; None: nothing is. Any thread may call.

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
        directory: Path | None = None,
    ) -> None:
        """Start as `open()` does."""
        self.account: Final = account
        self.region: Final = region
        self.store: Final = Store(directory)
        self._now = now
        self._records = Records(directory) if directory is not None else None
        self._repositories: dict[tuple[str, str], StoredRepository] = {}
        self._lock = (
            threading.RLock()
        )  # a test seeds from its own thread what a server's thread serves
        layers, images = Layers(self.store, absent), Images(self.store, now)
        self._operations_in_a_repository: Mapping[
            str, Callable[[StoredRepository, Mapping[str, Any]], Row]
        ] = {
            "BatchCheckLayerAvailability": layers.check,
            "BatchDeleteImage": images.delete,
            "BatchGetImage": images.get,
            "CompleteLayerUpload": layers.complete,
            "DescribeImages": images.describe,
            "GetDownloadUrlForLayer": layers.download,
            "InitiateLayerUpload": layers.initiate,
            "ListImages": images.list,
            "PutImage": images.put,
            "UploadLayerPart": layers.upload_part,
        }
        self.open()

    def open(self) -> None:
        """Have the directory, if any, for itself, and know what it holds.

        Whatever is done from outside does this, too.

        Raises OSError when the directory can't be used or another has it, ValueError for a file
        there that can't be read.
        """
        with self._lock:
            if self._records is None or not self._records.take():
                return
            try:
                self.store.tidy()
                self._repositories = {
                    (each.registry_id, each.name): each for each in self._records.load()
                }
            except BaseException:
                self._records.release()
                raise

    def close(self) -> None:
        """Leave the directory, if any, to others; uploads under way are dropped. Twice is fine."""
        with self._lock:
            if self._records is not None:
                for repository in self._repositories.values():
                    repository.discard_uploads()
                self._records.release()

    def run(self, operation: str, request: Mapping[str, Any]) -> Row:
        """Run one operation and return its answer.

        Raises AwsError, UnknownOperationException included.
        """
        with self._lock:
            self.open()
            in_a_repository = self._operations_in_a_repository.get(operation)
            if in_a_repository is not None:
                repository = self.repository(request["repositoryName"], request.get("registryId"))
                with self._saved(repository) if operation in CHANGING else nullcontext():
                    return in_a_repository(repository, request)
            if (of_repositories := self._operations_of_repositories().get(operation)) is not None:
                return of_repositories(request)
        code = "UnknownOperationException"
        raise AwsError(
            code,
            f"The local ECR does not serve {operation[:200]!r}; it serves {', '.join(OPERATIONS)}",
        )

    def repository(self, name: str, registry_id: str | None = None) -> StoredRepository:
        """Return a repository. Raises AwsError RepositoryNotFoundException."""
        registry_id = registry_id or self.account
        stored = self._repositories.get((registry_id, name))
        if stored is None:
            code = "RepositoryNotFoundException"
            raise AwsError(
                code,
                f"The repository with name '{name}' does not exist in the registry with id '{registry_id}'",
            )
        return stored

    @contextmanager
    def changing(self, name: str, registry_id: str | None = None) -> Generator[StoredRepository]:
        """Give a repository to change, made if need be.

        No request sees it half-changed. Raises AwsError for a bad name.
        """
        registry_id = registry_id or self.account
        with self._lock:
            self.open()
            if (registry_id, name) not in self._repositories:
                self._create_repository({"repositoryName": name, "registryId": registry_id})
            stored = self._repositories[registry_id, name]
            with self._saved(stored):
                yield stored

    def archive(self, name: str, digest: str, registry_id: str | None = None) -> None:
        """Archive an image, or one layer.

        Raises AwsError or KeyError when there is no such thing.
        """
        with self._lock:
            self.open()
            stored = self.repository(name, registry_id)
            with self._saved(stored):
                if digest in stored.images:
                    stored.archive(stored.images[digest], self._now())
                else:
                    stored.hold([replace(stored.layers[digest], archived=True)])

    @contextmanager
    def _saved(self, repository: StoredRepository) -> Generator[None]:
        """Save a repository once it is changed; a change that can't be saved is undone."""
        if self._records is None:
            yield
            return
        with repository.undone_by_failure():
            yield
            self._records.save(repository)

    # -- operations on repositories
    # -----------------------------------------------------------------------------------

    def _operations_of_repositories(self) -> Mapping[str, Callable[[Mapping[str, Any]], Row]]:
        # Made anew: kept, they would keep this object, and its directory, from being let go at
        # once.
        return {
            "CreateRepository": self._create_repository,
            "DeleteRepository": self._delete_repository,
            "DescribeRepositories": self._describe_repositories,
            "GetAuthorizationToken": self._get_authorization_token,
        }

    def _create_repository(self, request: Mapping[str, Any]) -> Row:
        name, registry_id = request["repositoryName"], request.get("registryId", self.account)
        if (registry_id, name) in self._repositories:
            code = "RepositoryAlreadyExistsException"
            raise AwsError(
                code,
                f"The repository with name '{name}' already exists in the registry with id '{registry_id}'",
            )
        _check_tags(request.get("tags", []))
        stored = StoredRepository(self._description(name, registry_id, request))
        with self._saved(stored):
            pass
        self._repositories[registry_id, name] = stored
        return {"repository": dict(stored.description)}

    def _delete_repository(self, request: Mapping[str, Any]) -> Row:
        stored = self.repository(request["repositoryName"], request.get("registryId"))
        if stored.images and not request.get(
            "force", False
        ):  # layers alone don't hold it back (assumed)
            code = "RepositoryNotEmptyException"  # wording quoted in public issues
            where = f"The repository with name '{stored.name}' in registry with id '{stored.registry_id}'"
            raise AwsError(code, f"{where} cannot be deleted because it still contains images")
        if self._records is not None:
            self._records.delete(stored)
        del self._repositories[stored.registry_id, stored.name]
        stored.discard_uploads()
        held = {
            digest
            for other in self._repositories.values()
            for digest in (*other.layers, *other.images)
        }
        self.store.drop({*stored.layers, *stored.images} - held)
        return {"repository": dict(stored.description)}

    def _describe_repositories(self, request: Mapping[str, Any]) -> Row:
        names: list[str] | None = request.get("repositoryNames")
        registry_id = request.get("registryId", self.account)
        if names is None:
            descriptions = {
                name: each.description
                for (registry, name), each in self._repositories.items()
                if registry == registry_id
            }
            page, more = page_of(descriptions, request)
            return {"repositories": [dict(description) for description in page], **more}
        for member in ("nextToken", "maxResults"):
            if member in request:  # AWS documentation of both members
                raise invalid_parameter(
                    member, "cannot be used when repositories are specified with repositoryNames"
                )
        return {
            "repositories": [dict(self.repository(name, registry_id).description) for name in names]
        }

    def _get_authorization_token(self, request: Mapping[str, Any]) -> Row:
        _, domain = partition_of(self.region)
        rows = [
            {
                "authorizationToken": base64.b64encode(
                    f"AWS:{secrets.token_urlsafe(24)}".encode()
                ).decode(),
                "expiresAt": self._now() + TOKEN_LIFETIME,
                "proxyEndpoint": f"https://{registry_id}.dkr.ecr.{self.region}.{domain}",
            }
            for registry_id in request.get("registryIds", [self.account])
        ]
        return {"authorizationData": rows}

    def _description(self, name: str, registry_id: str, request: Mapping[str, Any]) -> Row:
        partition, domain = partition_of(self.region)
        description: Row = {
            "repositoryArn": f"arn:{partition}:ecr:{self.region}:{registry_id}:repository/{name}",
            "registryId": registry_id,
            "repositoryName": name,
            "repositoryUri": f"{registry_id}.dkr.ecr.{self.region}.{domain}/{name}",
            "createdAt": self._now(),
            "imageTagMutability": request.get("imageTagMutability", "MUTABLE"),
            "imageScanningConfiguration": {"scanOnPush": False}
            | request.get("imageScanningConfiguration", {}),
            "encryptionConfiguration": request.get(
                "encryptionConfiguration", {"encryptionType": "AES256"}
            ),
        }
        filters = request.get("imageTagMutabilityExclusionFilters")
        if (filters is not None) != description["imageTagMutability"].endswith(
            "_WITH_EXCLUSION"
        ):  # assumed
            where = "imageTagMutabilityExclusionFilters"
            raise invalid_parameter(
                where, "must be given with a mutability WITH_EXCLUSION, and only with one"
            )
        return (
            description
            if filters is None
            else {**description, "imageTagMutabilityExclusionFilters": filters}
        )


def _check_tags(tags: list[Mapping[str, str]]) -> None:
    if len(tags) > MAX_TAGS:
        code = "TooManyTagsException"
        raise AwsError(code, f"The number of tags must be at most {MAX_TAGS}, not {len(tags)}")
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) < len(keys) or any(
        not 0 < len(tag["Key"]) <= MAX_TAG_KEY or len(tag["Value"]) > MAX_TAG_VALUE for tag in tags
    ):
        code = "InvalidTagParameterException"
        limits = f"keys of 1 to {MAX_TAG_KEY} characters, none twice, and values of at most {MAX_TAG_VALUE}"
        raise AwsError(code, f"An invalid parameter has been specified: tags have {limits}")
