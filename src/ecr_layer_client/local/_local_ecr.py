"""`LocalECR`: a local ECR for tests, demos and documentation."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from ._clock import Clock
from ._faults import Faults
from ._http_server import HTTPFace
from ._in_memory import MemoryFace
from ._options import check_options, home_of, played_regions
from ._quotas import Quotas, Rates
from ._registry.registry import Registry
from ._registry.state import DEFAULT_MEDIA_TYPE
from ._seeding import Contents, ManifestLike
from ._service import Service
from ._session import ACCESS_KEY, SECRET_KEY, local_session
from ._signatures import Key, Signatures
from ._thread import LoopThread

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from datetime import datetime

    from ecr_layer_client._client import ECRLayerClient
    from ecr_layer_client._models.config import ClientConfigChanges
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.protocols import Observer, SessionLike

    from ._registry.layers import AbsentAs
    from ._seeding import Descriptor
    from ._stats import Stats


class ClientKwargs(TypedDict):
    """The keywords that `boto3.client("ecr", ...)` and aiobotocore's `create_client("ecr", ...)` take to reach a `LocalECR`."""

    endpoint_url: str
    region_name: str
    aws_access_key_id: str
    aws_secret_access_key: str


class LocalECR:
    """A local ECR: it serves the layers and images of ECR's API at a free port of 127.0.0.1, or in memory.

    What it holds lives in this object: seed it before or after it opens; closing keeps it, and it
    may be opened again (at another port). The bytes of layers above 64 KiB are in temporary files
    that go with it; with `data` all is in files that stay.

    `async with LocalECR() as ecr:` serves on the running event loop. `with LocalECR() as ecr:`
    serves in a thread of its own, for callers that block, such as boto3, and for tests of any
    framework. Every method may be called from any thread: a change is made between two requests,
    never in the middle of one, and counts are read as they were at one moment.

    Args:
        region: the Region it plays. Default "us-east-1".
        regions: further Regions that it plays, each a registry of its own, for requests that are
            signed for them. Default none.
        data: a directory in which repositories, layers, images and tags outlive this object; it is
            made if need be. One `LocalECR` at a time has it: from here on until it is closed or
            gone, or its process ends; opening it, or putting something into it, takes it again.
            Default None: nothing outlives it.
        account: the registry that requests mean when they name none, 12 digits. Default
            "123456789012".
        absent: how a layer that is not held is answered: "unavailable" (default), a `layers` row as
            ECR answers; "missing", a `MissingLayerDigest` failure as emulators answer.
        auth: whether requests' signatures are verified, against the keys of `client_kwargs` and of
            `add_key`. Default True.
        in_memory: no socket and no thread: only `client()` and clients of `session()` reach it, and
            it works under an event loop whose time is virtual. Default False.
        host: the address to listen at. Default "127.0.0.1", which this machine alone reaches; its
            keys are no secret, so whoever reaches another address can use it.
        port: the port to listen at. Default 0: a free one.
        quota: requests a second that each operation accepts, a number or a mapping of operations to
            numbers; what is above is refused with ThrottlingException "Rate exceeded". Default
            None: no limit.
        burst: how many requests an operation accepts at once after a pause, at least 1, a number or
            a mapping like `quota`. Default: as many as in a second.
        latency: seconds that a request and its answer spend on the way, half of them each. Default
            0.
        seed: of the random draws of `faults`. Default 0.

    Raises:
        ValueError: `account` is not 12 digits, a Region is none, `absent` is neither word, `host`
            or `data` is empty, a number is out of its range, or `data` holds a file that can't be
            read.
        OSError: `data` is no place to write to, or another `LocalECR` has it, in this process or in
            another.

    >>> import asyncio
    >>> async def main() -> tuple[str, ...]:
    ...     async with LocalECR() as ecr:
    ...         digest = ecr.put_layer("app", b"a layer")
    ...         async with ecr.client() as client:
    ...             result = await client.check_layers("app", [digest, "sha256:" + "0" * 64])
    ...             return result.absent == ("sha256:" + "0" * 64,), result.available == (digest,)
    >>> asyncio.run(main())
    (True, True)
    """

    def __init__(  # noqa: PLR0913  (each an option of its own)
        self,
        *,
        region: str = "us-east-1",
        regions: Iterable[str] = (),
        data: str | os.PathLike[str] | None = None,
        account: str = "123456789012",
        absent: AbsentAs = "unavailable",
        auth: bool = True,
        in_memory: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        quota: Rates | None = None,
        burst: Rates | None = None,
        latency: float = 0.0,
        seed: int | str = 0,
    ) -> None:
        """Make an empty registry; nothing listens before `open()`."""
        self._faults = Faults(seed)
        self._quotas = Quotas(quota, burst)
        self._clock = Clock()
        check_options(account=account, absent=absent, host=host, port=port, latency=latency)
        played = played_regions(region, regions)
        home = home_of(data)
        self._signatures = Signatures(
            region=region, clock=self._clock, is_on=auth, further_regions=played
        )
        self._signatures.add(ACCESS_KEY, Key(SECRET_KEY))
        registries: list[Registry] = []
        with ExitStack() as opened:  # one that can't be opened leaves none open
            for each in played:
                directory = None if home is None else home / each
                registries.append(
                    Registry(
                        account=account,
                        region=each,
                        absent=absent,
                        now=self._clock.now,
                        directory=directory,
                    )
                )
                opened.callback(registries[-1].close)
            opened.pop_all()
        self._registry = registries[0]
        self._contents = Contents(registries)
        shells = (
            self._faults,
            self._signatures,
            self._quotas,
        )  # a fault may hit what is refused; who is not known spends no quota
        self._service = Service(
            self._registry, shells, further=registries[1:], round_trip=latency, clock=self._clock
        )
        self._face: HTTPFace | MemoryFace = (
            MemoryFace(self._service)
            if in_memory
            else HTTPFace(self._service, host=host, port=port)
        )
        self._is_open = False
        self._thread: LoopThread | None = None

    # -- life
    # ---------------------------------------------------------------------------------------------------------

    async def open(self) -> Self:
        """Begin to serve on the running event loop, and return self.

        Raises:
            RuntimeError: it is open already.
            OSError: it can't listen at `host` and `port`, or, after it was closed, another has its
                `data` directory.
        """
        if self._is_open:
            message = "this LocalECR is open already"
            raise RuntimeError(message)
        with ExitStack() as opened:
            for registry in self._service.registries.values():
                opened.callback(registry.close)
                registry.open()
            await self._face.open()
            opened.pop_all()
        self._is_open = True
        return self

    async def aclose(self) -> None:
        """Stop serving, and leave the `data` directory to others. Twice is fine.

        Open connections are closed, and requests under way are cut off (in memory they end).
        """
        self._is_open = False
        await self._face.aclose()
        for registry in self._service.registries.values():
            registry.close()

    async def __aenter__(self) -> Self:
        """Begin to serve."""
        return await self.open()

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop serving."""
        await self.aclose()

    def __enter__(self) -> Self:
        """Begin to serve in a thread of its own. Raises as `open()`, and RuntimeError in memory."""
        if isinstance(self._face, MemoryFace):
            message = "in memory there is nothing that a thread could serve: use `async with LocalECR(in_memory=True)`"
            # An option of this object, not a type that was passed.
            raise RuntimeError(message)  # noqa: TRY004
        thread = LoopThread()
        try:
            thread.run(self.open())
        except BaseException:
            thread.stop()
            raise
        self._thread = thread
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop serving, and end the thread.

        In a forked child it goes on, for it is the parent's.
        """
        thread, self._thread = self._thread, None
        if thread is not None and thread.is_here:
            try:
                thread.run(self.aclose())
            finally:
                thread.stop()

    # -- how to reach it
    # ----------------------------------------------------------------------------------------------

    @property
    def region(self) -> str:
        """The Region it plays."""
        return self._registry.region

    @property
    def account(self) -> str:
        """The registry id that requests mean when they name none."""
        return self._registry.account

    @property
    def endpoint_url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:49152`.

        In memory a constant at which nothing listens.

        Raises:
            RuntimeError: it is not open.
        """
        self._require_open()
        return self._face.url

    @property
    def client_kwargs(self) -> ClientKwargs:
        """The keywords for `boto3.client("ecr", **ecr.client_kwargs)` or any aiobotocore session's `create_client`.

        In memory they reach nothing: use `session()`. Raises RuntimeError when it is not open.
        """
        return {
            "endpoint_url": self.endpoint_url,
            "region_name": self.region,
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The `AWS_*` variables by which clients without arguments reach it: boto3, other SDKs, the AWS CLI, other processes.

        The session token is empty, for one that the shell has does not belong to these keys.
        Nothing is set: in a test, do `for name, value in ecr.environment.items():
        monkeypatch.setenv(name, value)`. Raises RuntimeError when it is not open.
        """
        return {
            "AWS_ENDPOINT_URL_ECR": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,  # boto3 reads no other
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_SESSION_TOKEN": "",
        }

    def session(self) -> SessionLike:
        """Return a new aiobotocore session that talks to this registry and knows its keys and Region.

        It heeds no `AWS_*` variable, profile, configuration file or proxy. Use it as
        `async with ecr.session().create_client("ecr", endpoint_url=ecr.endpoint_url) as client`.

        Raises:
            RuntimeError: it is not open.
        """
        self._require_open()
        session: SessionLike = local_session(
            self.region, self._face.session_class() if isinstance(self._face, MemoryFace) else None
        )
        return session

    def client(
        self, *, observer: Observer | None = None, **options: Unpack[ClientConfigChanges]
    ) -> ECRLayerClient:
        """Return an `ECRLayerClient` wired to this registry; enter it with `async with`.

        Args:
            observer: as of `ECRLayerClient`. Default None.
            options: the fields of `ClientConfig`, such as `batch_size=7`.

        Raises:
            RuntimeError: it is not open.
            InvalidInputError: an option that `ClientConfig` refuses.
        """
        # The core, only when asked for.
        from ecr_layer_client._client import ECRLayerClient  # noqa: PLC0415

        # The core, only when asked for.
        from ecr_layer_client._models.config import ClientConfig  # noqa: PLC0415

        return ECRLayerClient(
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            session=self.session(),
            config=ClientConfig(**options),
            observer=observer,
        )

    # -- what it holds
    # ------------------------------------------------------------------------------------------------

    # Each takes a repository as the client does: a name, a URI, an ARN or a `Repository`; one of
    # another account or of another Region
    # that is played means the registry there. A repository is made when something is put into it.

    def create_repository(self, name: str | Repository, *, registry_id: str | None = None) -> str:
        """Make sure that a repository exists, and return its URI.

        Unlike the API's CreateRepository it does not mind one that exists, so that fixtures can be
        combined.

        Args:
            name: as ECR takes them, such as "team/app"; or a registry URI, an ARN or a
                `Repository`.
            registry_id: another registry than `account`, 12 digits. Default None: the one in
                `name`, if any.

        Raises:
            ValueError: the name or the registry id breaks ECR's rules, or names a Region that is
                not played.
        """
        return self._contents.create_repository(name, registry_id)

    def seed(
        self,
        name: str | Repository,
        descriptors: Iterable[Descriptor],
        *,
        registry_id: str | None = None,
    ) -> None:
        """Let a repository hold layers of which only digest and size are known: they can be checked, not downloaded.

        Args:
            name: the repository, as of `create_repository`; it is created if need be.
            descriptors: each `(digest, size)`, `(digest, size, media_type)`, a mapping with
                `digest`, `size` and `mediaType`, or any object with `.digest`, `.size` and
                `.media_type`. Digests are held in lower case.
            registry_id: another registry than `account`. Default None.

        Raises:
            ValueError: a descriptor without a well-formed digest or size (none is then held), or a
                bad name.
        """
        self._contents.seed(name, descriptors, registry_id)

    def put_layer(
        self,
        name: str | Repository,
        data: bytes,
        media_type: str = DEFAULT_MEDIA_TYPE,
        *,
        registry_id: str | None = None,
    ) -> str:
        """Let a repository hold a layer of these bytes, and return its digest.

        The repository is created if need be.

        As in ECR, it can be downloaded once an image refers to it.

        Raises:
            ValueError: the name or the registry id breaks ECR's rules.
        """
        return self._contents.put_layer(name, data, media_type, registry_id)

    def put_image(
        self,
        name: str | Repository,
        manifest: ManifestLike,
        tag: str | None = None,
        *,
        registry_id: str | None = None,
    ) -> str:
        """Let a repository hold an image, and return its digest: that of the manifest's bytes.

        One that is there already is fine.

        Args:
            name: the repository, as of `create_repository`; it is created if need be.
            manifest: a manifest or an index, its `mediaType` included: bytes or a str exactly as
                they are, or a dict to be made JSON. The layers (or images) that it names must be
                there.
            tag: its tag. Default None: untagged.
            registry_id: another registry than `account`. Default None.

        Raises:
            ValueError: what PutImage refuses, with ECR's code and words.
        """
        return self._contents.put_image(name, manifest, tag, registry_id)

    def seed_image(
        self,
        name: str | Repository,
        layers: Iterable[bytes | Descriptor],
        tag: str | None = None,
        *,
        registry_id: str | None = None,
    ) -> str:
        """Let a repository hold an image of these layers, and return its digest.

        Config and manifest (OCI) are made for it.

        Args:
            name: the repository, as of `create_repository`; it is created if need be.
            layers: each the bytes of a layer, or a descriptor as of `seed`: a layer that can't be
                downloaded.
            tag: its tag. Default None: untagged.
            registry_id: another registry than `account`. Default None.

        Raises:
            ValueError: a descriptor, a name or a tag is not well formed.

        >>> ecr = LocalECR()
        >>> ecr.seed_image("app", [b"a layer", ("sha256:" + "a" * 64, 32_000_000)], "1.0") == ecr.seed_image(
        ...     "copy", [b"a layer", ("sha256:" + "a" * 64, 32_000_000)]
        ... )
        True
        """
        return self._contents.seed_image(name, layers, tag, registry_id)

    def archive(
        self, name: str | Repository, digest: str, *, registry_id: str | None = None
    ) -> None:
        """Play an image that was archived: it can't be pulled, and the layers that no active image holds are ARCHIVED.

        That lasts until the image is put again. With the digest of a layer, that layer alone is
        ARCHIVED, until it is uploaded or put again. An index is archived alone, without the images
        that it lists.

        Raises:
            LookupError: the repository does not exist or holds neither an image nor a layer of this
                digest.
        """
        self._contents.archive(name, digest, registry_id)

    # -- how it behaves
    # -----------------------------------------------------------------------------------------------

    @property
    def faults(self) -> Faults:
        """The faults it plays: `ecr.faults.add(error="ThrottlingException", times=3)`."""
        return self._faults

    def set_quota(self, quota: Rates | None, burst: Rates | None = None) -> None:
        """Change the quota, from the next request on.

        None lifts it. The tokens saved up are kept, as far as `burst` holds them.

        Args:
            quota: as of `LocalECR`.
            burst: as of `LocalECR`. Default: as many as in a second.

        Raises:
            ValueError: a number is out of its range, or an operation is not served.
        """
        change = partial(self._quotas.change, quota, burst)
        if self._thread is None:
            change()
        else:
            self._thread.call(change)  # tokens are counted by the time of its loop

    def add_key(
        self,
        access_key: str,
        secret_key: str,
        session_token: str | None = None,
        *,
        expires: datetime | None = None,
    ) -> None:
        """Know an access key from now on, beside those of `client_kwargs`.

        One of the same id is replaced, as a rotation does.

        Args:
            access_key: its id.
            secret_key: what signs.
            session_token: what requests with a temporary key must carry. Default None: a lasting
                key, without one.
            expires: an aware datetime, on the registry's clock, from which the key is answered
                ExpiredTokenException. Default None: never.

        Raises:
            ValueError: an argument is empty, or `expires` has no time zone.
        """
        if not access_key or not secret_key or session_token == "":
            message = (
                "an access key has an id, a secret and, if any, a session token that are not empty"
            )
            raise ValueError(message)
        if expires is not None and expires.tzinfo is None:
            message = f"expires={expires!r} has no time zone: use datetime.now(timezone.utc)"
            raise ValueError(message)
        self._signatures.add(
            access_key,
            Key(secret_key, session_token, None if expires is None else expires.timestamp()),
        )

    def remove_key(self, access_key: str) -> None:
        """Know an access key no more: it is answered UnrecognizedClientException.

        Raises LookupError when it is not known.
        """
        self._signatures.remove(access_key)

    def expire(self, access_key: str) -> None:
        """Let a key be expired from now on: it is answered ExpiredTokenException.

        Raises LookupError when it is not known.
        """
        self._signatures.expire(access_key)

    @property
    def clock_skew(self) -> float:
        """Seconds that the registry's clock is ahead of this machine's.

        Negative: behind. Default 0.0.

        Beyond five minutes either way, signatures are refused as expired or as not yet current.
        """
        return self._clock.skew

    @clock_skew.setter
    def clock_skew(self, seconds: float) -> None:
        self._clock.skew = seconds

    # -- what happened
    # ------------------------------------------------------------------------------------------------

    @property
    def stats(self) -> Stats:
        """The requests answered so far, by operation and outcome; `stats.reset()` starts again."""
        return self._service.stats

    @property
    def connections(self) -> int:
        """How many connections are open, idle ones included.

        In memory, how many HTTP sessions of clients are.
        """
        return self._face.connections

    @property
    def in_flight(self) -> int:
        """How many requests are being answered now.

        In memory, a body not yet read to its end counts.
        """
        return self._face.in_flight

    def __repr__(self) -> str:
        """Say where it is, for logs and test reports."""
        where = self._face.url if self._is_open else "closed"
        return f"<LocalECR {self.account} {self.region} {where}>"

    def _require_open(self) -> None:
        if not self._is_open:
            message = "this LocalECR is not open: use `async with LocalECR() as ecr:` or `with LocalECR() as ecr:`"
            raise RuntimeError(message)
