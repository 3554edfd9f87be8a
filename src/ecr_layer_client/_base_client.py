"""`BaseLayerClient`: the operations of both services, each in a few lines.

What works behind an operation is imported where it is used, so that a module that only names the
client does not pay for it.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypeVar, Unpack
from weakref import WeakValueDictionary

from ._calls.observer import SafeObserver
from ._checks.progress import shown
from ._models.config import ClientConfig, ClientConfigChanges
from ._models.errors import InvalidInputError
from ._models.repository import Repository, service_of
from ._models.services import SERVICES
from ._models.timeouts import MAX_TIMEOUT_SECONDS, TIMEOUT_RULE
from ._text.quoting import quoted
from ._transport.options import ConnectionOptions
from ._transport.regions import unread_region

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Mapping
    from types import TracebackType

    from ._calls.bounds import Bounds
    from ._calls.caller import Caller
    from ._calls.connection import Connection
    from ._checks.coalescer import Coalescer
    from ._checks.many import DigestsOfMany
    from ._checks.stream import LayerStream
    from ._models.layer import LayerOutcome
    from ._models.progress import Progress
    from ._models.result import LayerCheckResult
    from ._models.results import LayerCheckResults
    from ._models.services import Service
    from .images import ImageSource, PushPlan
    from .images._reader import ImageReader
    from .protocols import ECRApi, Observer
    from .transfers import Journal, TransferProgress, TransferResult
    from .transfers._transfers import Transfers

Where = TypeVar("Where", bound=str | Repository)

_CHECK = "BatchCheckLayerAvailability"
_OBSERVER_METHODS = ("operation", "attempt", "retry", "throttle")
_IMPORTED_AT_OPENING = ("ecr_layer_client._checks.stream",)
_OF_THE_CONNECTION = (
    "max_concurrency",
    "connect_timeout",
    "max_response_bytes",
    "requests_per_second",
    "transport",
    "max_bytes_in_flight",
    "max_bandwidth",
    "allow_insecure_endpoint",
)


class BaseLayerClient:
    """The operations that private ECR and ECR Public have in common, and the life of a client."""

    _repository_class: ClassVar[type[Repository]] = Repository

    def _set_up(
        self,
        options: ConnectionOptions,
        config: ClientConfig,
        observer: Observer | None,
        connection: Connection | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        _check_arguments(options, config, observer)
        from ._calls.connection import Connection

        self._config = config
        self._observer = observer
        self._safe_observer = SafeObserver(observer)
        self._is_view = connection is not None
        self._connection = connection or Connection(options, config, _IMPORTED_AT_OPENING, bounds)
        # A coalescer lives while somebody waits.
        self._coalescers: WeakValueDictionary[tuple[str, str | None], Coalescer] = (
            WeakValueDictionary()
        )

    @classmethod
    def from_client(
        cls,
        client: ECRApi,
        *,
        config: ClientConfig = ClientConfig(),  # noqa: B008
        observer: Observer | None = None,
    ) -> Self:
        """Return a client that sends its requests through your open aiobotocore client.

        The hooks, Region, credentials, connections, retries and timeouts of your client stay as
        they are. It is never closed. If both clients retry, you get a warning, because the numbers
        of attempts multiply.

        Args:
            client: The open client of the same service, which `async with
                session.create_client(...)` returned.
            config: As for the class, but `connect_timeout` has no effect.
            observer: As for the class.

        Raises:
            InvalidInputError: It is not such a client.
        """
        bases = type(client).__mro__
        is_of_botocore = any(base.__module__ == "botocore.client" for base in bases)
        is_blocking = is_of_botocore and not hasattr(client, "__aenter__")
        needed = ("batch_check_layer_availability", "meta")
        if is_blocking or not all(hasattr(client, name) for name in needed):
            msg = f"from_client takes an open aiobotocore ECR client, not <{type(client).__name__}>"
            raise InvalidInputError(msg)
        service = service_of(cls._repository_class)
        _check_service(client, service)

        _warn_of_retries(client)
        made, options = cls.__new__(cls), ConnectionOptions(client=client, service=service)
        made._set_up(options, config, observer)  # noqa: SLF001 (its own)
        return made

    async def check_layers(
        self,
        repository: str | Repository,
        digests: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 (it keeps what was answered)
        progress: bool | Callable[[Progress], None] = False,
    ) -> LayerCheckResult:
        """Check any number of digests and return their outcomes, in input order.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            digests: Any iterable or async iterable of str. Duplicates are checked once.
            timeout: Seconds for the whole operation, including waits. If the operation takes
                longer, the error has the outcomes that were received. Default None: no limit.
            progress: True shows a progress bar if tqdm is installed. A function is called with a
                `Progress` after each batch. Default False.

        Raises:
            InvalidInputError: The repository, an option or an item of `digests` is not valid.
            ClientStateError: The client is not open, or belongs to another event loop or process.
            CallError: A call failed, or `timeout` expired. `.partial` has the outcomes that were
                received, and the digests without an outcome.
        """
        with shown(progress) as show:
            async with self.stream_layers(repository, digests, timeout=timeout) as stream:
                return await stream.collect(show)

    def stream_layers(
        self,
        repository: str | Repository,
        digests: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
    ) -> LayerStream:
        """Check any number of digests and yield outcomes as they arrive; see `LayerStream`.

        The memory does not grow with the number of digests.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            digests: Any iterable or async iterable of str. A duplicate of one of the last 10,000
                distinct digests is ignored.
            timeout: Seconds for the whole operation, from the moment when you read the first
                outcome. Default None: no limit.

        Raises:
            InvalidInputError: The repository or an option is not valid, or `digests` is not an
                iterable of str.
            ClientStateError: The client is not open, or belongs to another event loop or process.
        """
        caller = self._caller(_CHECK)
        where = self._resolve(caller.region_name, repository)
        return self._stream(caller, where, digests, checked_seconds(timeout))

    async def check_many(
        self,
        digests: DigestsOfMany,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 (as of check_layers)
        progress: bool | Callable[[Progress], None] = False,
    ) -> LayerCheckResults:
        """Check digests of many repositories and return the outcomes, by repository.

        Pairs may come in any order: a full batch of a repository is sent at once, and batches that
        are not full are sent at the end of the input. The whole input is held in memory. If ECR
        refuses a repository, because it is unknown or access is denied, the error is in `.errors`.

        Args:
            digests: A mapping of repositories to digests, or an iterable or async iterable of pairs
                (repository, digest). A URI and an ARN of one repository count as one repository.
                Duplicates are checked once.
            timeout: As in `check_layers`.
            progress: As in `check_layers`.

        Raises:
            InvalidInputError: A repository, an option or an item is not valid.
            ClientStateError: The client is not open, or belongs to another event loop or process.
            CallError: The problem concerns all repositories: a transient error after all retries,
                the credentials or the clock. Or `timeout` expired. `.partials` has the outcomes
                that were received.

        Example:
            ```python
            results = await client.check_many({"team/app": digests[:3], "team/gone": digests[:3]})
            print(results["team/app"].absent, results.errors)
            ```
        """
        from ._checks.many import ManyCheck

        caller = self._caller(_CHECK)
        seconds = checked_seconds(timeout)
        resolve = partial(self._resolve, caller.region_name)
        with shown(progress) as show:
            check = ManyCheck(caller, resolve, show)
            return await self._connection.run(check.results(digests, seconds))

    async def check_layer(self, repository: str | Repository, digest: str) -> LayerOutcome:
        """Check one digest. Callers that check at about the same time share requests.

        Single checks of one repository are gathered into batches for `coalesce_window` seconds. If
        a request with the digest is already waiting for its response, a new caller gets the outcome
        of that request. Nothing is cached: a later call checks again.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            digest: The digest. The outcome has it in the same spelling.

        Raises:
            InvalidInputError: The repository is not valid, or the digest is not a str.
            ClientStateError: The client is not open, or belongs to another event loop or process.
            CallError: The call failed. `.partial` has only this digest.

        Example:
            ```python
            outcome = await client.check_layer("team/app", digests[0])
            print(outcome.is_available)
            ```
        """
        return await self._coalescer(repository).check(digest)

    async def wait_until_available(
        self,
        repository: str | Repository,
        digests: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float,  # noqa: ASYNC109 (as of check_layers)
        progress: bool | Callable[[Progress], None] = False,
    ) -> LayerCheckResult:
        """Wait until the repository holds every digest, and return the result, in input order.

        Use it if the layers will come soon, for example by a replication, a restore or another
        push. Digests that are not available are checked again after a pause. The first pause is at
        most 0.5 seconds. This maximum doubles with each pause, up to 15 seconds. Each pause is a
        random time between half of its maximum and the maximum.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            digests: As in `check_layers`. They are held in memory.
            timeout: Seconds for the whole operation.
            progress: As in `check_layers`, but the function is called when more layers are
                available, and `answered` is the number of available layers.

        Raises:
            InvalidInputError: The repository, an option or an item of `digests` is not valid.
            ClientStateError: The client is not open, or belongs to another event loop or process.
            LayerFailuresError: A digest is malformed, so it can never become available.
            CallError: A call failed, or `timeout` expired. `.partial.not_available` has the digests
                that are still missing.

        Example:
            ```python
            result = await client.wait_until_available("team/app", digests[::2], timeout=600.0)
            print(result.all_available)
            ```
        """
        from ._checks.waiting import Waiting

        caller = self._caller(_CHECK)
        where = self._resolve(caller.region_name, repository)
        stream = partial(self._stream, caller, where, is_operation=False)
        seconds = checked_seconds(timeout, is_needed=True)
        with shown(progress) as show, caller.span(_CHECK, where):
            waiting = Waiting(where, caller.attempted(_CHECK, where), stream, seconds, show)
            return await self._connection.run(waiting.result(digests))

    async def plan_push(
        self, repository: str | Repository, sources: ImageSource | Iterable[ImageSource]
    ) -> PushPlan:
        """Return what a push of some images would upload. Each of their blobs is checked once.

        Args:
            repository: The target: a name, a registry URI, an ARN or a `Repository`.
            sources: An `ImageSource`, or several. A blob that they share counts once.

        Raises:
            InvalidInputError: An argument is not valid.
            ClientStateError: The client is not open, or belongs to another event loop or process.
            CallError: A call failed.

        Example:
            ```python
            from ecr_layer_client.images import ImageSource

            plan = await client.plan_push("team/app", ImageSource.from_oci_layout("layout"))
            print(plan.bytes_to_upload, plan.seconds_at_quota)
            ```
        """
        return await self._image_reader(repository).plan(sources)

    async def plan_pushes(
        self, sources: Mapping[Where, ImageSource | Iterable[ImageSource]]
    ) -> tuple[PushPlan, ...]:
        """Return what pushes to several repositories would upload, one plan for each.

        `PushPlan.total` returns the sum of the plans.

        Args:
            sources: A mapping of repositories to an `ImageSource` or several. A URI and an ARN of
                one repository count as one repository, with one plan.

        Raises:
            InvalidInputError: An argument is not valid.
            ClientStateError: The client is not open, or belongs to another event loop or process.
            CallError: A call failed. This is the error of the first repository that failed.

        Example:
            ```python
            from ecr_layer_client.images import ImageSource, PushPlan

            source = ImageSource.from_oci_layout("layout")
            plans = await client.plan_pushes({"team/app": source})
            print(PushPlan.total(plans).bytes_to_upload)
            ```
        """
        from .images._plan import plan
        from .images._source import blobs_of, grouped

        given = grouped(sources, self._resolve_repository)
        digests = {where: [blob.digest for blob in blobs_of(its)] for where, its in given.items()}
        results = (await self.check_many(digests)).raise_for_errors()
        return tuple(plan(its, results[where]) for where, its in given.items())

    async def push(  # noqa: PLR0913 (most by keyword)
        self,
        repository: str | Repository,
        sources: ImageSource | Iterable[ImageSource],
        *,
        tags: Iterable[str] | None = None,
        journal: Journal | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (the journal keeps what was sent)
        progress: bool | Callable[[TransferProgress], None] = False,
    ) -> TransferResult:
        """Push images: upload the layers that the repository lacks, and put the manifests.

        Args:
            repository: The target: a name, a registry URI, an ARN or a `Repository`.
            sources: An `ImageSource`, or several. A layer that they share is uploaded once.
            tags: The tags of the images. Default None: the tags of the sources. `()`: no tags.
            journal: The record of uploads in progress, so that a later push can continue them: a
                directory, or a mutable mapping of str to str. Default None: no record.
            timeout: Seconds for the whole push. Default None: no limit.
            progress: True shows a progress bar of bytes if tqdm is installed. A function is called
                with a `TransferProgress`, at most ten times a second and at the end of each part.
                Default False.

        Raises:
            InvalidInputError: An argument is not valid, ECR would refuse the image, a source can't
                be read, or the journal can't be used.
            ClientStateError: The client is closed, or was opened on another event loop or before a
                fork.
            CallError: A call failed, or `timeout` expired. `.transfer` says which layers
                were uploaded.

        Example:
            ```python
            from ecr_layer_client.images import ImageSource

            result = await client.push("team/app", ImageSource.from_path("layout"), journal={})
            print(result.uri)
            ```
        """
        seconds = checked_seconds(timeout)
        with shown(progress, in_bytes=True) as show:
            transfers = self._transfers(repository, seconds, show)
            return await transfers.push(sources, tags, journal)

    def _transfers(
        self,
        repository: str | Repository,
        seconds: float | None,
        show: Callable[[TransferProgress], None] | None,
    ) -> Transfers:
        from .transfers._transfers import ClientParts, Transfers

        where = self._resolve_repository(repository)
        parts = ClientParts(
            where,
            partial(self.check_layers, where),
            self._image_reader(where),
            self._connection,
            self._config,
            self._safe_observer,
        )
        return Transfers(parts, seconds, show)

    def _resolve_repository(self, repository: str | Repository) -> Repository:
        return self._resolve(self._connection.resources_for(_CHECK).region_name, repository)

    def _resolve(self, region: str, repository: str | Repository) -> Repository:
        """Return the repository, if it can be in the Region of this client."""
        where = self._repository_class.coerce(repository)
        if where.region not in (None, region):
            note = unread_region(self._connection.options, region)
            msg = (
                f"repository {where.name!r} is in Region {where.region!r}, but this client is for "
                f"{region!r}{note}: use client.for_region({where.region!r})"
            )
            raise InvalidInputError(msg)
        return where

    def _caller(self, operation: str) -> Caller:
        from ._calls.caller import Caller

        resources = self._connection.resources_for(operation)
        return Caller(resources, self._config, self._safe_observer)

    def _stream(
        self,
        caller: Caller,
        repository: Repository,
        digests: Iterable[str] | AsyncIterable[str],
        timeout: float | None,
        *,
        is_operation: bool = True,
    ) -> LayerStream:
        from ._checks.stream import LayerStream

        home = self._connection.check_home
        stream = LayerStream(caller, repository, digests, timeout, home, is_operation=is_operation)
        self._connection.users.add(stream)
        return stream

    def _coalescer(self, repository: str | Repository) -> Coalescer:
        where = self._resolve_repository(repository)
        key = where.name, where.registry_id
        coalescer = self._coalescers.get(key)
        if coalescer is None:
            from ._checks.coalescer import Coalescer

            coalescer = Coalescer(partial(self._caller, _CHECK), where)
            self._coalescers[key] = coalescer
            self._connection.users.add(coalescer)
        return coalescer

    def _image_reader(self, repository: str | Repository) -> ImageReader:
        from .images._reader import ImageReader, ReaderTools

        where = self._resolve_repository(repository)
        check = partial(self.check_layers, where)
        tools = ReaderTools(check, self._caller, self._connection, self._safe_observer)
        return ImageReader(where, tools)

    def with_config(self, **changes: Unpack[ClientConfigChanges]) -> Self:
        """Return a client with other options that uses the connection of this client.

        Such a client is called a view. Closing a view does nothing.

        Args:
            **changes: Options of `ClientConfig`, except those of the connection:
                `max_concurrency`, `connect_timeout`, `max_response_bytes`, `requests_per_second`,
                `transport`, `max_bytes_in_flight`, `max_bandwidth` and `allow_insecure_endpoint`.

        Raises:
            InvalidInputError: An option is unknown or not valid, or belongs to the connection.

        Example:
            ```python
            patient = client.with_config(retry=RetryPolicy(max_elapsed=600.0))
            ```
        """
        config = self._config.replace(dict(changes))
        for name in _OF_THE_CONNECTION:
            if getattr(config, name) != getattr(self._config, name):
                msg = (
                    f"with_config can't change {name}, because it is an option of the connection: "
                    f"set ClientConfig({name}=...) when you create the client"
                )
                raise InvalidInputError(msg)
        view, connection = self.__new__(type(self)), self._connection
        view._set_up(connection.options, config, self._observer, connection)  # noqa: SLF001
        return view

    def for_region(self, region_name: str) -> Self:
        """Return a client for another Region, with the same session and credentials.

        Open the new client before you use it. The transfers of both clients share
        `max_bytes_in_flight` and `max_bandwidth`.

        Args:
            region_name: The Region. The new client keeps an `endpoint_url` that you passed.

        Raises:
            InvalidInputError: The name of the Region is not valid, or this client uses an
                aiobotocore client, whose Region can't change.
        """
        self._repository_class(name="any", region=region_name or "")
        options = self._connection.options
        if options.client is not None:
            msg = (
                "for_region can't change the Region of an aiobotocore client: "
                "make an aiobotocore client for the other Region, and pass it to from_client"
            )
            raise InvalidInputError(msg)

        bounds = self._connection.bounds.for_another_connection()
        other, options = self.__new__(type(self)), replace(options, region_name=region_name)
        other._set_up(options, self._config, self._observer, bounds=bounds)  # noqa: SLF001
        return other

    async def open(self) -> Self:
        """Open the client, without a request to ECR, and return it. Does nothing on a view.

        Raises:
            ClientStateError: The client is open already.
            InvalidInputError: There is no Region, or the AWS configuration is not valid.
            CredentialsError: botocore failed to look for credentials.
        """
        if not self._is_view:
            await self._connection.open()
        return self

    async def aclose(self) -> None:
        """Cancel running operations and close the connection. Safe to call twice.

        Does nothing on a view.

        Raises:
            ClientStateError: The client belongs to another event loop or process.
        """
        if not self._is_view:
            await self._connection.aclose()

    async def __aenter__(self) -> Self:
        """Open the client."""
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Close the client."""
        await self.aclose()

    def __repr__(self) -> str:
        """Return one bounded line, without a secret."""
        options = self._connection.options
        state = "open" if self._connection.is_open else "not open"
        where = f"region_name={options.region_name!r} endpoint_url={options.endpoint_url!r}"
        return f"<{type(self).__name__} {where}, {state}>"

    def __reduce__(self) -> NoReturn:
        """Raise TypeError, because a client holds connections and credentials."""
        msg = (
            "a client holds connections and credentials and can't be pickled: "
            "make one in each process"
        )
        raise TypeError(msg)


def _check_arguments(
    options: ConnectionOptions, config: ClientConfig, observer: Observer | None
) -> None:
    if not isinstance(config, ClientConfig):
        kind = type(config).__name__
        msg = f"config=<{kind}> must be a ClientConfig, such as ClientConfig(max_concurrency=50)"
        raise InvalidInputError(msg)

    options.check(allow_insecure_endpoint=config.allow_insecure_endpoint)
    if config.transport == "signed" and options.client is not None:
        msg = (
            "transport='signed' can't be used with from_client: "
            f"use {options.service.client}(session=...), or transport='client'"
        )
        raise InvalidInputError(msg)

    methods = [getattr(observer, name, None) for name in _OBSERVER_METHODS]
    if observer is not None and not all(map(callable, methods)):
        needed = ", ".join(_OBSERVER_METHODS)
        msg = f"observer=<{type(observer).__name__}> must be an object with the methods {needed}"
        raise InvalidInputError(msg)


def checked_seconds(timeout: object, *, is_needed: bool = False) -> Any:
    """Return a timeout, if it is valid."""
    if timeout is None and not is_needed:
        return None
    is_bool = isinstance(timeout, bool)
    if isinstance(timeout, int | float) and not is_bool and 0 < timeout < MAX_TIMEOUT_SECONDS:
        return timeout
    msg = f"timeout={quoted(timeout)} {TIMEOUT_RULE}"
    raise InvalidInputError(msg)


def _check_service(client: ECRApi, service: Service) -> None:
    """Refuse a client of the other service, if it names its service."""
    model = getattr(client.meta, "service_model", None)
    other = SERVICES.get(getattr(model, "service_name", service.name))
    if other is not service and other is not None:
        msg = f"this is a client of {other.name}: pass it to {other.client}.from_client"
        raise InvalidInputError(msg)


def _warn_of_retries(client: ECRApi) -> None:
    config = getattr(client.meta, "config", None)
    retries: dict[str, Any] = getattr(config, "retries", None) or {}
    attempts = retries.get("total_max_attempts")
    if attempts != 1:
        warnings.warn(
            f"your aiobotocore client makes up to {attempts or 'several'} attempts for each "
            "attempt of this library, so the attempts multiply: "
            'make the client with AioConfig(retries={"total_max_attempts": 1})',
            stacklevel=3,
        )
