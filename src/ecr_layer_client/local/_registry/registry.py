"""The behaviour of ECR's layer API: AWS-shaped requests in, AWS-shaped responses out.

The module waits for nothing, and gets the time from its caller.

`_validation` has already checked the requests against the service model. The sources of ECR's
behaviour are AWS's documentation and clients that run against the real service. Where neither
describes it, the comment says "assumed".
"""

from __future__ import annotations

import base64
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ecr_layer_client._models.repository import partition_of
from ecr_layer_client._models.services import ECR, Service

from .account_settings import BLOB_MOUNTING, DEFAULTS, checked_setting
from .blob_store import Store
from .database import Database
from .descriptions import new_description
from .errors import AwsError, invalid_parameter
from .layers import AbsentAs, is_mountable
from .limits import DEFAULT_LIMITS, Limits
from .operations import CHANGING, OPERATIONS, operations_in_a_repository
from .paging import page_of
from .referrers import Referrers
from .resource_tags import add_tags, repository_of_arn
from .state import Revision, Row, StoredRepository
from .tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from pathlib import Path


class Registry:
    """The contents of one Region: the repositories of every account, and the operations on them.

    `account` is the registry of a request that names none. A request or a test may name others.
    Each of them has its own repositories, which the request may use as if a policy allowed it.
    `absent` selects the response for an absent layer: "unavailable" as in ECR, "missing" as in
    emulators. `now` returns the time in epoch seconds. `directory` stores everything that must
    outlive this object. With None, nothing outlives it. `host` is where Docker's clients reach the
    registry of `account`; with None, AWS's host. Any thread may call the methods.

    >>> registry = Registry(account="123456789012", region="us-east-1")
    >>> _ = registry.run("CreateRepository", {"repositoryName": "app"})
    >>> request = {"repositoryName": "app", "layerDigests": ["sha256:00"]}
    >>> registry.run("BatchCheckLayerAvailability", request)["layers"]
    [{'layerDigest': 'sha256:00', 'layerAvailability': 'UNAVAILABLE'}]
    """

    service: ClassVar[Service] = ECR
    operations: ClassVar[tuple[str, ...]] = OPERATIONS

    def __init__(  # noqa: PLR0913  (each an option of its own)
        self,
        *,
        account: str,
        region: str,
        absent: AbsentAs = "unavailable",
        now: Callable[[], float] = lambda: 0.0,
        directory: Path | None = None,
        limits: Limits = DEFAULT_LIMITS,
        host: str | None = None,
    ) -> None:
        """Start closed. What needs its contents opens it."""
        self.account: Final = account
        self.region: Final = region
        self.store: Final = Store()
        self.tokens: Final = Tokens(now)
        self.referrers: Final = Referrers(self.store, now)
        self.now: Final = now
        # Name -> value, as PutAccountSetting sets them.
        self.account_settings: dict[str, str] = {**DEFAULTS}
        self._host = host
        self._database = Database(directory) if directory is not None else None
        self._repositories: dict[tuple[str, str], StoredRepository] = {}
        # Changes come one at a time, from the server's threads and from those of a test. A change
        # is saved before others see it. They hold the lock of the contents only to look at them or
        # to apply a change, never while they wait for the disk.
        self._changes = threading.RLock()
        self._contents = threading.RLock()

        self._operations_in_a_repository = operations_in_a_repository(
            self.store, now, absent, limits, self.referrers
        )

    def open(self) -> None:
        """Lock the directory, if any, and load its repositories.

        Every change from outside calls this method, too.

        Raises OSError when the directory cannot be used or another registry uses it, and ValueError
        for a file there that cannot be read.
        """
        if self._database is None or self._database.is_open:
            return
        with self._changes, self._contents:
            # Another thread may have opened it meanwhile.
            if self._database.is_open:
                return
            directory = self._database.open()
            try:
                self.store.use(directory)
                repositories = self._database.load()
                settings = self._database.account_settings()
                self.store.keep_only(_digests_of(repositories))
            except BaseException:
                self._database.close()
                raise
            self.account_settings = {**DEFAULTS, **settings}
            for each in repositories:
                uri = f"{self._host_of(each.registry_id)}/{each.name}"
                each.description["repositoryUri"] = uri
            self._repositories = {(each.registry_id, each.name): each for each in repositories}

    def close(self) -> None:
        """Unlock the directory, if any, and drop uploads in progress. Safe to call twice."""
        with self._changes, self._contents:
            if self._database is not None:
                self.expire_uploads()
                self._database.close()

    def run(self, operation: str, request: Mapping[str, Any]) -> Row:
        """Run one operation and return its response.

        Raises AwsError, UnknownOperationException included.
        """
        self.open()
        if operation in CHANGING:
            with self._changes:
                return self._run(operation, request)
        # An upload has a lock of its own. Others must not wait until a part is written.
        if operation == "UploadLayerPart":
            return self._run(operation, request)
        with self._contents:
            return self._run(operation, request)

    def _run(self, operation: str, request: Mapping[str, Any]) -> Row:
        if operation not in self.operations:
            code = "UnknownOperationException"
            served = f"it serves {', '.join(self.operations)}"
            raise AwsError(code, f"The local ECR does not serve {operation[:200]!r}; {served}")

        in_a_repository = self._operations_in_a_repository.get(operation)
        if in_a_repository is not None:
            repository = self._named_by(request)
            if operation not in CHANGING:
                return in_a_repository(repository, request)
            with self._revised(repository) as revision:
                return in_a_repository(revision, request)

        return self._operations_of_repositories()[operation](request)

    def _named_by(self, request: Mapping[str, Any]) -> StoredRepository:
        if "resourceArn" not in request:
            return self.repository(request["repositoryName"], request.get("registryId"))
        named = repository_of_arn(request["resourceArn"], self.region)
        return self.repository(named.name, named.registry_id)

    def repository(self, name: str, registry_id: str | None = None) -> StoredRepository:
        """Return a repository. Raises AwsError RepositoryNotFoundException."""
        registry_id = self._account_of(registry_id)
        stored = self._repositories.get((registry_id, name))
        if stored is None:
            code = "RepositoryNotFoundException"
            message = (
                f"The repository with name '{name}' does not exist in the registry with id "
                f"'{registry_id}'"
            )
            raise AwsError(code, message)
        return stored

    @contextmanager
    def viewing(self, name: str, registry_id: str | None = None) -> Generator[StoredRepository]:
        """Provide a repository to look at. It does not change in the block.

        Raises AwsError RepositoryNotFoundException.
        """
        self.open()
        with self._contents:
            yield self.repository(name, registry_id)

    @contextmanager
    def changing(self, name: str, registry_id: str | None = None) -> Generator[StoredRepository]:
        """Provide a repository to change, created if absent.

        No request sees a partial change. Raises AwsError for an invalid name.
        """
        registry_id = registry_id or self.account
        with self._changes:
            self.open()
            if (registry_id, name) not in self._repositories:
                self._create_repository({"repositoryName": name, "registryId": registry_id})
            with self._revised(self._repositories[registry_id, name]) as revision:
                yield revision

    def archive(self, name: str, digest: str, registry_id: str | None = None) -> None:
        """Archive an image, or one layer.

        Raises AwsError when there is no such repository, and KeyError when the repository has no
        such image or layer.
        """
        with self._changes:
            self.open()
            with self._revised(self.repository(name, registry_id)) as revision:
                if digest in revision.images:
                    revision.archive(revision.images[digest], self.now())
                else:
                    revision.hold([replace(revision.layers[digest], archived=True)])

    def lose_layer(self, name: str, digest: str, registry_id: str | None = None) -> None:
        """Delete a layer, if the repository has it. Raises AwsError if there is no repository."""
        with self._changes:
            self.open()
            with self._revised(self.repository(name, registry_id)) as revision:
                revision.layers.pop(digest, None)

    def mount(self, name: str, digest: str, source: str, registry_id: str | None = None) -> bool:
        """Add a layer of another repository, and return whether that was possible.

        AWS documentation of blob mounting: the account setting is on, both repositories are of one
        registry and have the same encryption, and an image of `source` refers to the layer.

        Raises AwsError RepositoryNotFoundException.
        """
        with self._changes:
            self.open()
            target = self.repository(name, registry_id)
            held = self._repositories.get((target.registry_id, source))
            is_on = self.account_settings[BLOB_MOUNTING] == "ENABLED"
            if held is None or not is_on or not is_mountable(digest, held, target, self.now()):
                return False
            with self._revised(target) as revision:
                revision.hold([held.layers[digest]])
        return True

    def expire_uploads(self) -> None:
        """Drop all uploads in progress."""
        with self._changes:
            for repository in self._repositories.values():
                repository.discard_uploads()

    @contextmanager
    def _revised(self, repository: StoredRepository) -> Generator[Revision]:
        """Provide a revision of a repository, and save and apply it after the block."""
        revision = Revision(repository)
        try:
            yield revision
        except AwsError:
            # Nothing else changes when a request is rejected.
            revision.end_uploads()
            raise

        if self._database is not None:
            self._database.save(revision)
        with self._contents:
            revision.apply()

    # -- operations on repositories

    def _operations_of_repositories(self) -> Mapping[str, Callable[[Mapping[str, Any]], Row]]:
        # Not an attribute: bound methods in it would make a reference cycle, and the cycle would
        # delay the release of this object and of its directory.
        return {
            "CreateRepository": self._create_repository,
            "DeleteRepository": self._delete_repository,
            "DescribeRegistry": self._describe_registry,
            "DescribeRepositories": self._describe_repositories,
            "GetAccountSetting": self._get_account_setting,
            "GetAuthorizationToken": self._get_authorization_token,
            "PutAccountSetting": self._put_account_setting,
        }

    def _create_repository(self, request: Mapping[str, Any]) -> Row:
        name, registry_id = request["repositoryName"], request.get("registryId", self.account)
        if (registry_id, name) in self._repositories:
            code = "RepositoryAlreadyExistsException"
            message = (
                f"The repository with name '{name}' already exists in the registry with id "
                f"'{registry_id}'"
            )
            raise AwsError(code, message)

        description = new_description(
            request,
            registry_id=registry_id,
            region=self.region,
            service=self.service,
            now=self.now(),
        )
        description["repositoryUri"] = f"{self._host_of(registry_id)}/{name}"
        stored = StoredRepository(description)
        add_tags(stored, request.get("tags", []))
        if self._database is not None:
            self._database.create(stored)
        with self._contents:
            self._repositories[registry_id, name] = stored
        return {"repository": dict(stored.description)}

    def _delete_repository(self, request: Mapping[str, Any]) -> Row:
        stored = self.repository(request["repositoryName"], request.get("registryId"))
        # Assumed: a repository that has layers and no image can be deleted.
        if stored.images and not request.get("force", False):
            # The wording is quoted in public issues.
            code = "RepositoryNotEmptyException"
            message = (
                f"The repository with name '{stored.name}' in registry with id "
                f"'{stored.registry_id}' cannot be deleted because it still contains images"
            )
            raise AwsError(code, message)

        if self._database is not None:
            self._database.delete(stored)
        with self._contents:
            del self._repositories[stored.registry_id, stored.name]
        stored.discard_uploads()

        self.store.drop(_digests_of([stored]) - _digests_of(self._repositories.values()))
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

        # AWS documentation of both members.
        for member in ("nextToken", "maxResults"):
            if member in request:
                rule = "cannot be used when repositories are specified with repositoryNames"
                raise invalid_parameter(member, rule)

        repositories = [self.repository(name, registry_id) for name in names]
        return {"repositories": [dict(each.description) for each in repositories]}

    def _describe_registry(self, _request: Mapping[str, Any]) -> Row:
        return {"registryId": self.account, "replicationConfiguration": {"rules": []}}

    def _get_account_setting(self, request: Mapping[str, Any]) -> Row:
        name = checked_setting(request)["name"]
        return {"name": name, "value": self.account_settings[name]}

    def _put_account_setting(self, request: Mapping[str, Any]) -> Row:
        setting = checked_setting(request)
        if self._database is not None:
            self._database.put_account_setting(setting["name"], setting["value"])
        self.account_settings[setting["name"]] = setting["value"]
        return setting

    def _get_authorization_token(self, request: Mapping[str, Any]) -> Row:
        registry_ids: list[str] = request.get("registryIds", [self.account])
        return {"authorizationData": list(map(self._authorization, registry_ids))}

    def _authorization(self, registry_id: str) -> Row:
        password, expires_at = self.tokens.issue(registry_id)
        host = self._host_of(registry_id)
        scheme = "http" if host == self._host else "https"
        return {
            "authorizationToken": base64.b64encode(f"AWS:{password}".encode()).decode(),
            "expiresAt": expires_at,
            "proxyEndpoint": f"{scheme}://{host}",
        }

    def _account_of(self, registry_id: str | None) -> str:
        """Return the account that a request names."""
        return registry_id or self.account

    def _host_of(self, registry_id: str) -> str:
        """Return where Docker's clients reach a registry."""
        if self._host is not None and registry_id == self.account:
            return self._host
        _, domain = partition_of(self.region)
        return f"{registry_id}.dkr.ecr.{self.region}.{domain}"


def _digests_of(repositories: Iterable[StoredRepository]) -> set[str]:
    """Return the digests of the layers and images of repositories."""
    return {digest for each in repositories for digest in (*each.layers, *each.images)}
