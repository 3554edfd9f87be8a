"""`ECRLayerClient`: the verbs, a few lines each.

What works behind them is imported where it is used: a module that only names the client does not
pay for it.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, Unpack
from weakref import WeakValueDictionary

from ._calls.observer import SafeObserver
from ._checks.operation import OPERATION
from ._checks.progress import shown
from ._models.config import ClientConfig, ClientConfigChanges
from ._models.errors import InvalidInputError
from ._models.repository import Repository
from ._text.quoting import quoted
from ._transport.options import ConnectionOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
    from types import TracebackType

    from ._calls.caller import Caller
    from ._calls.connection import Connection, OwnSlots
    from ._checks.coalescer import Coalescer
    from ._checks.many import ManyLayerStream
    from ._checks.pairs import DigestsOfMany
    from ._checks.stream import LayerStream
    from ._checks.window import Reading, Window
    from ._models.layer import LayerOutcome
    from ._models.progress import Progress
    from ._models.result import LayerCheckResult
    from ._models.results import LayerCheckResults
    from .images import ImageReport, ImageSource, Platform, PushPlan
    from .images._reader import ImageReader
    from .protocols import CredentialsProvider, ECRApi, Observer, SessionLike

Where = TypeVar("Where", bound=str | Repository)
S = TypeVar("S", bound="Window[Any]")

_OBSERVED = ("operation", "attempt", "retry", "throttle")
_LONGEST = 1e9  # seconds
_NEEDED_SOON = ("ecr_layer_client._checks.stream",)
_OF_THE_CONNECTION = (
    "connect_timeout",
    "max_response_bytes",
    "transport",
    "allow_insecure_endpoint",
)


class ECRLayerClient:
    """Asks Amazon ECR which layers a repository holds.

    Nothing is sent or read before `async with client:` (or `await client.open()`, for services with
    a lifespan; then `await client.aclose()`). One client serves all tasks of its event loop.

    Args:
        region_name: The Region. Default None: as botocore finds it (`AWS_DEFAULT_REGION`, the
            profile).
        profile_name: A profile of the AWS configuration. Default None: as botocore finds it
            (`AWS_PROFILE`).
        endpoint_url: Where to ask, in place of the Region's own endpoint; https, or this machine.
            Default None.
        credentials: Gives the keys to sign with, such as those of an assumed role; see
            `CredentialsProvider`. Asked once for all callers and all clients that have it in
            common, again five minutes ahead of the keys' expiry, and when AWS refuses them. Default
            None: as botocore finds them.
        session: An aiobotocore session of yours, with your hooks; never closed. Default None: one
            shared by all clients of the event loop and profile.
        config: Batch size, concurrency, timeouts, retries. Default `ClientConfig()`.
        observer: Told of operations, attempts, retries and throttling. Default None.

    Raises:
        InvalidInputError: An argument breaks its rule.

    Example:
        ```python
        async with ECRLayerClient(region_name="eu-west-1") as client:
            result = await client.check_layers("team/app", digests)
        for digest in result.absent:
            print("to upload:", digest)
        ```
    """

    def __init__(  # noqa: PLR0913 (where and as whom, all by keyword)
        self,
        *,
        region_name: str | None = None,
        profile_name: str | None = None,
        endpoint_url: str | None = None,
        credentials: CredentialsProvider | None = None,
        session: SessionLike | None = None,
        config: ClientConfig = ClientConfig(),  # noqa: B008 (an immutable value)
        observer: Observer | None = None,
    ) -> None:
        self._set_up(
            ConnectionOptions(
                region_name, profile_name, endpoint_url, session, credentials=credentials
            ),
            config,
            observer,
        )

    def _set_up(
        self,
        target: ConnectionOptions,
        config: ClientConfig,
        observer: Observer | None,
        connection: Connection | None = None,
    ) -> None:
        if not isinstance(config, ClientConfig):
            msg = f"config=<{type(config).__name__}>: a ClientConfig, such as ClientConfig(max_concurrency=50)"
            raise InvalidInputError(msg)
        target.check(allow_insecure_endpoint=config.allow_insecure_endpoint)
        if config.transport == "signed" and target.client is not None:
            msg = "transport='signed' needs a session, and this client borrows an aiobotocore client: pass session= in its place"
            raise InvalidInputError(msg)
        if observer is not None and not all(
            callable(getattr(observer, name, None)) for name in _OBSERVED
        ):
            msg = f"observer=<{type(observer).__name__}>: an object with the methods {', '.join(_OBSERVED)}"
            raise InvalidInputError(msg)
        from ._calls.connection import Connection

        self._config = config
        self._observer = observer
        self._observed = SafeObserver(observer)
        self._is_view = connection is not None
        self._connection = connection or Connection(target, config, _NEEDED_SOON)
        self._own_slots: tuple[OwnSlots, ...] = ()
        self._coalescers: WeakValueDictionary[tuple[str, str | None], Coalescer] = (
            WeakValueDictionary()
        )  # one lives while somebody waits

    @classmethod
    def _made(
        cls,
        target: ConnectionOptions,
        config: ClientConfig,
        observer: Observer | None,
        connection: Connection | None = None,
    ) -> Self:
        client = cls.__new__(cls)
        client._set_up(target, config, observer, connection)  # noqa: SLF001 (its own)
        return client

    @classmethod
    def from_client(
        cls,
        client: ECRApi,
        *,
        config: ClientConfig = ClientConfig(),  # noqa: B008
        observer: Observer | None = None,
    ) -> Self:
        """Borrow an open aiobotocore ECR client, with its hooks, Region, credentials and pool.

        It is never closed.

        Its own retries and timeouts stay as they are beneath this library's: a warning says so when
        attempts would multiply.

        Args:
            client: What `async with session.create_client("ecr", ...)` gave.
            config: As for the class; `connect_timeout` is the borrowed client's own.
            observer: As for the class.

        Raises:
            InvalidInputError: It is no such client.
        """
        is_blocking = any(
            base.__module__ == "botocore.client" for base in type(client).__mro__
        ) and not hasattr(client, "__aenter__")
        if (
            is_blocking
            or not hasattr(client, "batch_check_layer_availability")
            or not hasattr(client, "meta")
        ):
            msg = f"from_client takes an open aiobotocore ECR client, not <{type(client).__name__}>"
            raise InvalidInputError(msg)
        _warn_of_retries(client)
        return cls._made(ConnectionOptions(client=client), config, observer)

    async def check_layers(
        self,
        repository: str | Repository,
        digests: Iterable[str] | AsyncIterable[str],
        *,
        # It keeps what was answered, which a cancellation can't.
        timeout: float | None = None,  # noqa: ASYNC109
        progress: bool | Callable[[Progress], None] = False,
    ) -> LayerCheckResult:
        """Check any number of digests and return what became of each, in input order.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            digests: Any iterable or async iterable of str; duplicates are asked once.
            timeout: Seconds for the whole operation, waits included; the error keeps what was
                answered. Default None: no bound.
            progress: True shows a bar where tqdm is installed; a callable is given a `Progress`
                after each batch. Default False.

        Raises:
            InvalidInputError: The repository, an option or an item of `digests` breaks its rule.
            ClientStateError: The client is not open, or not here.
            CallError: A call failed for good, or `timeout` ran out; `.partial` holds what was
                answered and what was not.
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
        """Check any number of digests, in bounded memory; see `LayerStream`.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            digests: Any iterable or async iterable of str; a repeat among the last 10,000 distinct
                digests is asked once.
            timeout: Seconds from the first pull for the whole operation. Default None: no bound.

        Raises:
            InvalidInputError: The repository or an option breaks its rule, or `digests` is no
                iterable of str.
            ClientStateError: The client is not open, or not here.
        """
        from ._checks.batches import DigestSource
        from ._checks.stream import LayerStream

        where = self._resolve_repository(repository)
        source = DigestSource(digests, self._config.batch_size)
        how = self._how(None if timeout is None else _seconds(timeout))
        return self._used(LayerStream(self._caller(OPERATION), where, source, how))

    async def check_many(
        self,
        digests: DigestsOfMany,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 (as of check_layers)
        progress: bool | Callable[[Progress], None] = False,
    ) -> LayerCheckResults:
        """Check digests of many repositories and return what became of each, by repository.

        Batches are kept full for each repository, and many are in flight at once under one
        `max_concurrency` and one pacer. A repository that ECR refuses for good, such as one that is
        unknown or denied, does not spoil the others: its error is in `.errors`.

        Args:
            digests: A mapping of repositories to digests, or an iterable or async iterable of pairs
                (repository, digest). Repositories are names, registry URIs, ARNs or `Repository`
                values; two spellings of one are one. Duplicates are asked once.
            timeout: Seconds for the whole operation, waits included; the error keeps what was
                answered. Default None: no bound.
            progress: As of `check_layers`.

        Raises:
            InvalidInputError: A repository, an option or an item breaks its rule.
            ClientStateError: The client is not open, or not here.
            CallError: What failed concerns all repositories (passing trouble that outlasted the
                retries, credentials, the clock), or `timeout` ran out; `.partials` holds what was
                answered and what was not, by repository.

        Example:
            ```python
            results = await client.check_many({"team/app": digests[:3], "team/gone": digests[:3]})
            print(results["team/app"].absent, results.errors)
            ```
        """
        with shown(progress) as show:
            async with self.stream_many(digests, timeout=timeout) as stream:
                return await stream.collect(show)

    def stream_many(
        self, digests: DigestsOfMany, *, timeout: float | None = None
    ) -> ManyLayerStream:
        """Check digests of many repositories, in bounded memory; see `ManyLayerStream`.

        Args:
            digests: As of `check_many`; a repeat among the last 10,000 distinct digests is asked
                once.
            timeout: Seconds from the first pull for the whole operation. Default None: no bound.

        Raises:
            InvalidInputError: An option breaks its rule, or `digests` is none of the shapes.
            ClientStateError: The client is not open, or not here.
        """
        from ._checks.many import ManyLayerStream
        from ._checks.pairs import PairSource

        source = PairSource(digests, self._config.batch_size, self._resolve_repository)
        how = self._how(None if timeout is None else _seconds(timeout))
        return self._used(ManyLayerStream(self._caller(OPERATION), source, how))

    async def check_layer(self, repository: str | Repository, digest: str) -> LayerOutcome:
        """Check one digest; callers that ask at about the same time share requests.

        Single checks of one repository are gathered into batches: a full one leaves at once, a
        partial one `coalesce_window` seconds after its first digest (while another is on its way,
        up to 25 times as long). Callers for a digest that is on its way share its answer. Nothing
        is remembered: who asks later asks anew.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            digest: The digest; its outcome has its spelling.

        Raises:
            InvalidInputError: The repository breaks its rule, or the digest is no str.
            ClientStateError: The client is not open, or not here; or it was closed meanwhile.
            CallError: The call failed for good; each caller has an error of its own, whose
                `.partial` speaks of its digest alone.

        Example:
            ```python
            outcome = await client.check_layer("team/app", digests[0])
            print(outcome.is_available)
            ```
        """
        return await self._coalescer(Repository.coerce(repository)).check(digest)

    async def wait_until_available(
        self,
        repository: str | Repository,
        digests: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float,  # noqa: ASYNC109 (as of check_layers)
        progress: bool | Callable[[Progress], None] = False,
    ) -> LayerCheckResult:
        """Wait until the repository holds every digest, and return the result, in input order.

        For what is on its way: a replication, a restore, a push by somebody else. Everything is
        checked once; what is not available (absent, archived or undetermined) is checked again
        after a pause of at most 0.5 seconds, and then of twice as much up to 15, each drawn between
        that and half of it.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            digests: As of `check_layers`; all are held in memory.
            timeout: Seconds for the whole.
            progress: As of `check_layers`; `answered` counts the layers that are available.

        Raises:
            InvalidInputError: The repository, an option or an item of `digests` breaks its rule.
            ClientStateError: The client is not open, or not here.
            LayerFailuresError: ECR takes one for no digest, so it can never be available; `.result`
                is what was found of all.
            CallError: A call failed for good, or `timeout` ran out; `.partial.not_available` is
                what is still missing.

        Example:
            ```python
            result = await client.wait_until_available("team/app", digests[::2], timeout=600.0)
            print(result.all_available)
            ```
        """
        with shown(progress) as show:
            async with self.stream_until_available(repository, digests, timeout=timeout) as stream:
                return await stream.collect(show)

    def stream_until_available(
        self,
        repository: str | Repository,
        digests: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float,
    ) -> LayerStream:
        """Wait as `wait_until_available` does, and yield each layer when it is available.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            digests: As of `check_layers`; all are held in memory.
            timeout: Seconds from the first pull for the whole.

        Raises:
            InvalidInputError: The repository or an option breaks its rule, or `digests` is no
                iterable of str.
            ClientStateError: The client is not open, or not here.
        """
        from ._checks.waiting import AvailabilityStream, RepeatingSource

        where = self._resolve_repository(repository)
        source = RepeatingSource(digests, self._config.batch_size)
        return self._used(
            AvailabilityStream(self._caller(OPERATION), where, source, self._how(_seconds(timeout)))
        )

    async def get_image(
        self, repository: str | Repository, reference: str, platform: str | Platform | None = None
    ) -> ImageSource:
        """Fetch the manifests of an image, with their exact bytes.

        An index is followed, and no layer is downloaded.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            reference: A tag, or a digest in either letter case.
            platform: Of an index, the image to take, such as `linux/arm64`: of several variants the
                architecture's own (`linux/arm` is `linux/arm/v7`), else the first. Default None:
                the index and all its images. A plain image is taken as it is.

        Raises:
            InvalidInputError: An argument breaks its rule, or the index has no image for
                `platform`.
            ClientStateError: The client is not open, or not here.
            ServiceError: ECR gives no such image, or not all that an index names; `.code` is
                `ImageNotFound` or another of its codes.
            CallError: A call failed for good.

        Example:
            ```python
            source = await client.get_image("team/app", "latest", platform="linux/amd64")
            print(source.images[0].config.digest)
            ```
        """
        return await self._image_reader(repository).get(reference, platform)

    async def plan_push(
        self, repository: str | Repository, sources: ImageSource | Iterable[ImageSource]
    ) -> PushPlan:
        """Say what a push of some images would upload: checks their blobs, each once, and uploads nothing.

        Args:
            repository: Where to: a name, a registry URI, an ARN or a `Repository`.
            sources: An `ImageSource`, or several; what they share counts once.

        Raises:
            InvalidInputError: An argument breaks its rule.
            ClientStateError: The client is not open, or not here.
            CallError: A call failed for good.

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
        """Say what pushes to several repositories would upload, in one check of all of them.

        `PushPlan.total` adds the plans up.

        Args:
            sources: By repository, an `ImageSource` or several. Two spellings of one repository are
                one, with one plan.

        Raises:
            InvalidInputError: An argument breaks its rule.
            ClientStateError: The client is not open, or not here.
            CallError: A call failed for good: the error of the first repository that failed.

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
        results = await self.check_many(
            {where: [blob.digest for blob in blobs_of(its)] for where, its in given.items()}
        )
        results.raise_for_errors()
        return tuple(plan(its, results[where]) for where, its in given.items())

    async def verify_image(self, repository: str | Repository, reference: str) -> ImageReport:
        """Look whether an image is whole: every manifest there, every blob available and as large as its manifest says.

        What is missing is in the report, an image that is not found, too.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            reference: A tag, or a digest in either letter case.

        Raises:
            InvalidInputError: An argument breaks its rule.
            ClientStateError: The client is not open, or not here.
            CallError: A call failed for good.

        Example:
            ```python
            report = await client.verify_image("team/app", "latest")
            print(report.deployable, *report.defects)
            ```
        """
        return await self._image_reader(repository).verify(reference)

    def audit(self, repository: str | Repository) -> AsyncIterator[ImageReport]:
        """Look whether each image of a repository is whole, and yield a report of each.

        Archived images are left out.

        The images are those that the repository has when the audit begins; one that is deleted or
        archived meanwhile is left out, too.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.

        Raises:
            InvalidInputError: The repository breaks its rule.
            ClientStateError: The client is not open, or not here.
            CallError: A call failed for good.

        Example:
            ```python
            async for report in client.audit("team/app"):
                if not report.deployable:
                    print(report)
            ```
        """
        return self._image_reader(repository).audit()

    def _image_reader(self, repository: str | Repository) -> ImageReader:
        from .images._reader import ImageReader

        reader = ImageReader(
            self._resolve_repository(repository), self, self._caller, self._observed
        )
        self._connection.users.add(reader)
        return reader

    def _how(self, timeout: float | None) -> Reading:
        from ._checks.window import Reading

        return Reading(
            self._config.max_concurrency, timeout, self._observed, self._connection.check_home
        )

    def _used(self, stream: S) -> S:
        self._connection.users.add(stream)
        return stream

    def _coalescer(self, repository: Repository) -> Coalescer:
        self._resolve_repository(repository)
        key = repository.name, repository.registry_id
        coalescer = self._coalescers.get(key)
        if coalescer is None:
            from ._checks.coalescer import Coalescer

            caller = partial(self._caller, OPERATION)
            coalescer = self._coalescers[key] = Coalescer(
                caller, repository, self._config, self._observed
            )
            self._connection.users.add(coalescer)
        return coalescer

    def _resolve_repository(self, repository: str | Repository) -> Repository:
        """Return the repository, if it is one that this client can ask."""
        where = Repository.coerce(repository)
        region = self._connection.resources_for(OPERATION)[0].region_name
        if where.region not in (None, region):
            msg = (
                f"repository {where.name!r} lies in Region {where.region!r}, and this client asks {region!r}: "
                f"use client.for_region({where.region!r})"
            )
            raise InvalidInputError(msg)
        return where

    def _caller(self, operation: str) -> Caller:
        from ._calls.caller import Caller

        transport, rate_limiter, slots = self._connection.resources_for(operation)
        self._connection.set_ceiling(rate_limiter, self, self._config.requests_per_second)
        own = (each.beside(slots) for each in self._own_slots)
        return Caller(transport, rate_limiter, (*own, slots), self._config, self._observed, self)

    def with_config(self, **changes: Unpack[ClientConfigChanges]) -> Self:
        """Return a view of this client with other options.

        It borrows the connection, and closing it does nothing.

        A `requests_per_second` of the view's holds for all that share its pacer, from the view's
        first request for as long as it lives.

        Args:
            **changes: Options of `ClientConfig`, but those of the connection itself
            (`connect_timeout`, `max_response_bytes`, `transport`,
                `allow_insecure_endpoint`); `max_concurrency` may be lowered, not raised.

        Raises:
            InvalidInputError: An option is unknown, breaks its rule, belongs to the connection or
                raises `max_concurrency`.

        Example:
            ```python
            patient = client.with_config(retry=RetryPolicy(max_elapsed=600.0))
            ```
        """
        from ._calls.connection import OwnSlots

        config = self._config.replace(dict(changes))
        for name in _OF_THE_CONNECTION:
            if getattr(config, name) != getattr(self._config, name):
                msg = f"{name} belongs to the connection, which a view borrows: make a client of its own"
                raise InvalidInputError(msg)
        if config.max_concurrency > self._config.max_concurrency:
            msg = (
                f"max_concurrency={config.max_concurrency} is more than the client's own {self._config.max_concurrency}, "
                "for which its connection pool is made: raise it where the client is made"
            )
            raise InvalidInputError(msg)
        view = self._made(self._connection.target, config, self._observer, self._connection)
        # A view that lowers max_concurrency holds a slot of its own beside those it borrows.
        lowered = config.max_concurrency < self._config.max_concurrency
        more = (OwnSlots(config.max_concurrency),) if lowered else ()
        view._own_slots = self._own_slots + more  # noqa: SLF001 (of this class)
        return view

    def for_region(self, region_name: str) -> Self:
        """Return a client of another Region, not open yet, with the same session and credentials, and its own endpoint and pacer.

        Args:
            region_name: The Region. An explicit `endpoint_url` is kept.

        Raises:
            InvalidInputError: It is no Region's name, or this client borrows an aiobotocore client,
                which is bound to its own.
        """
        Repository(name="any", region=region_name or "")
        target = self._connection.target
        if target.client is not None:
            msg = "a borrowed aiobotocore client is bound to its Region: make one of the other Region and use from_client"
            raise InvalidInputError(msg)
        return type(self)(
            region_name=region_name,
            profile_name=target.profile_name,
            endpoint_url=target.endpoint_url,
            credentials=target.credentials,
            session=target.session,
            config=self._config,
            observer=self._observer,
        )

    async def open(self) -> Self:
        """Make the way to ECR, without a request, and return the client itself.

        Of a view, nothing to do.

        Raises:
            ClientStateError: It is open already.
            InvalidInputError: There is no Region, or the AWS configuration can't be used.
            CredentialsError: The credential chain failed.
        """
        if not self._is_view:
            await self._connection.open()
        return self

    async def aclose(self) -> None:
        """End what is under way and close the connection; twice is fine; of a view, nothing to do.

        Raises:
            ClientStateError: It was opened on another event loop, or before a fork.
        """
        if not self._is_view:
            await self._connection.aclose()

    async def __aenter__(self) -> Self:
        """Open."""
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Close."""
        await self.aclose()

    def __repr__(self) -> str:
        """Return one bounded line, without a secret."""
        target = self._connection.target
        state = "open" if self._connection.is_open else "not open"
        return f"<{type(self).__name__} region_name={target.region_name!r} endpoint_url={target.endpoint_url!r}, {state}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled.

        Raises:
            TypeError: Always.
        """
        msg = "a client holds connections and credentials and can't be pickled: make one in each process"
        raise TypeError(msg)


def _seconds(timeout: float) -> float:
    if not (type(timeout) in {int, float} and 0 < timeout < _LONGEST):
        msg = f"timeout={quoted(timeout)}: seconds, more than 0"
        raise InvalidInputError(msg)
    return timeout


def _warn_of_retries(client: ECRApi) -> None:
    config = getattr(client.meta, "config", None)
    retries: dict[str, Any] = getattr(config, "retries", None) or {}
    attempts = retries.get("total_max_attempts")
    if attempts != 1:
        warnings.warn(
            f"the borrowed client makes up to {attempts or 'several'} attempts of its own for each of ours, so attempts multiply: "
            'make it with AioConfig(retries={"total_max_attempts": 1})',
            stacklevel=3,
        )
