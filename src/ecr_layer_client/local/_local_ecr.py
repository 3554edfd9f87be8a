"""`LocalECR`: a local ECR for tests, demos and documentation."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from ._clock import Clock
from ._faults import Faults
from ._http_server import HTTPServer
from ._in_memory import MemoryServer
from ._options import (
    check_limits,
    check_options,
    check_public_alias,
    check_registry_host,
    data_directory,
    served_regions,
)
from ._passwords import Passwords
from ._quotas import Quotas, Rates
from ._registry.public import REGIONS as PUBLIC_REGIONS
from ._registry.public import PublicRegistry
from ._registry.registry import Registry
from ._registry.state import DEFAULT_MEDIA_TYPE
from ._registry_api.auth import Registries
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
    from ecr_layer_client._public_client import ECRPublicLayerClient
    from ecr_layer_client.protocols import Observer, SessionLike

    from ._registry.layers import AbsentAs
    from ._seeding import Descriptor
    from ._stats import Stats


class ClientKwargs(TypedDict):
    """The arguments that connect an ECR client of boto3 or aiobotocore to a `LocalECR`.

    Pass them to `boto3.client("ecr", ...)` or to `create_client("ecr", ...)` of a session; for the
    API of ECR Public, to a client of "ecr-public".
    """

    endpoint_url: str
    region_name: str
    aws_access_key_id: str
    aws_secret_access_key: str


class LocalECR:
    """A local ECR: it serves the layers and images of ECR's API, over HTTP or in memory.

    It also serves the API of ECR Public, with repositories of its own. At `/v2/` it serves the
    Docker Registry API, for docker, skopeo and other such clients.

    Over HTTP it listens at a free port of 127.0.0.1. Its contents live in this object. You can add
    contents before or after you open it. Closing keeps the contents, and you can open it again, at
    another port. The bytes of layers above 64 KiB are in temporary files, which are deleted with
    this object. With `data`, everything is in files that stay.

    `async with LocalECR() as ecr:` serves on the running event loop. `with LocalECR() as ecr:`
    serves in its own thread, for callers that block, such as boto3, and for tests of any framework.
    You may call every method from any thread. A change happens between two requests, never in the
    middle of one, and counts are those of one moment.

    Args:
        region: the Region that it serves. Default "us-east-1".
        regions: further Regions that it serves. Each has its own registry, for requests that are
            signed for it. Default none.
        data: a directory in which repositories, layers, images and tags outlive this object. The
            directory is created if absent. One `LocalECR` at a time can use it: this object locks
            it until the object is closed or deleted, or its process ends. Opening the object again,
            or adding contents, locks the directory again. Default None: nothing outlives the
            object.
        account: the registry of requests without a `registryId`, 12 digits. Default "123456789012".
        absent: the response for an absent layer: "unavailable" (default), a `layers` row as in ECR,
            or "missing", a `MissingLayerDigest` failure as in emulators.
        auth: whether it verifies the signatures of requests, with the keys of `client_kwargs` and
            of `add_key`. Default True.
        in_memory: without a socket and a thread. Only `client()` and clients of `session()` reach
            it. All times are the event loop's, which can be virtual. Default False.
        host: the address to listen at. Default "127.0.0.1", which only this machine can reach. If
            others can reach the address, they can use the local ECR: its keys are not secret.
        port: the port to listen at. Default 0: a free port.
        quota: requests per second that each operation accepts, a number or a mapping of operations
            to numbers. It rejects other requests with ThrottlingException "Rate exceeded". Default
            None: no limit.
        burst: how many requests an operation accepts at once after a pause, at least 1, a number or
            a mapping like `quota`. Default: as many as in one second.
        latency: seconds of a round trip: half for the request, half for the response. Default 0.
        intake: bytes per second that are read from the body of a request, so that uploads are
            slow. Default None: as fast as possible.
        max_part_size: the largest layer part in bytes, from 5 MiB to 20,971,520, which is the
            default. InitiateLayerUpload proposes parts of 10 MiB or less.
        max_layers_per_image: PutImage rejects images with more layers, with
            LimitExceededException. ECR has such a limit, but its number is not published. Default
            None: no limit.
        restore_time: seconds that UpdateImageStorageClass takes to restore an archived image.
            Meanwhile the image is ACTIVATING, and its layers are ARCHIVED. In ECR, it takes up to
            20 minutes. Default 0: the image is restored at once.
        registry_host: where Docker and other clients of `/v2/` reach this registry, a host with its
            port, such as "localhost:4510". `repositoryUri` and `proxyEndpoint` name it, for the
            default account and the first Region. Default None: they name AWS's host, and the
            clients have to be given the local one.
        public_alias: the alias of the default account's registry in ECR Public, as in
            `public.ecr.aws/local/app`. Default "local".
        seed: the seed of the random numbers of `faults`. Default 0.

    Raises:
        ValueError: one of these:

            - `account` is not 12 digits
            - a Region is not valid
            - `absent` is neither word
            - `host` or `data` is empty
            - `registry_host` is not a host with a port
            - `public_alias` is not an alias
            - a number is out of range
            - `data` contains a database of another version, or a damaged one
        OSError: `data` is not a directory to write to, contains a link, or is used by another
            `LocalECR`, in this process or in another one.

    >>> import asyncio
    >>> async def main() -> tuple[bool, bool]:
    ...     async with LocalECR() as ecr:
    ...         absent = "sha256:" + "0" * 64
    ...         digest = ecr.put_layer("app", b"a layer")
    ...         async with ecr.client() as client:
    ...             result = await client.check_layers("app", [digest, absent])
    ...             return result.absent == (absent,), result.available == (digest,)
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
        intake: float | None = None,
        max_part_size: int | None = None,
        max_layers_per_image: int | None = None,
        restore_time: float = 0.0,
        registry_host: str | None = None,
        public_alias: str = "local",
        seed: int | str = 0,
    ) -> None:
        """Create an empty registry. Nothing listens before `open()`."""
        self._faults = Faults(seed)
        self._quotas = Quotas(quota, burst)
        self._clock = Clock()
        check_options(account=account, absent=absent, host=host, port=port, latency=latency)
        limits = check_limits(
            intake=intake,
            max_part_size=max_part_size,
            max_layers_per_image=max_layers_per_image,
            restore_time=restore_time,
        )
        served = served_regions(region, regions)
        home = data_directory(data)
        check_registry_host(registry_host)
        check_public_alias(public_alias)

        self._signatures = Signatures(
            region=region, clock=self._clock, is_on=auth, further_regions=served
        )
        self._signatures.add(ACCESS_KEY, Key(SECRET_KEY))

        now = self._clock.in_loop if in_memory else self._clock.now
        registries: list[Registry] = []
        # If one registry cannot be opened, none of the others stays open.
        with ExitStack() as opened:
            for each in served:
                directory = None if home is None else home / each
                registries.append(
                    Registry(
                        account=account,
                        region=each,
                        absent=absent,
                        now=now,
                        directory=directory,
                        limits=limits,
                        host=registry_host if each == region else None,
                    )
                )
                registries[-1].open()
                opened.callback(registries[-1].close)
            opened.pop_all()

        # It is opened when it is used, because local ECRs of different Regions may share `data`.
        public = PublicRegistry(
            account=account,
            region=PUBLIC_REGIONS[0],
            alias=public_alias,
            absent=absent,
            now=now,
            directory=None if home is None else home / "public",
            limits=limits,
        )

        self._registry = registries[0]
        self._registries = (*registries, public)
        self._contents = Contents(registries, public)

        # Faults come first, because they may affect rejected requests, too. Signatures come before
        # quotas, because a request that is not authenticated spends no quota.
        passwords = Passwords(Registries({each.region: each for each in registries}), is_on=auth)
        interceptors = (self._faults, self._signatures, passwords, self._quotas)
        self._service = Service(
            self._registry,
            interceptors,
            further=registries[1:],
            public=public,
            round_trip=latency,
            intake=intake,
            clock=self._clock,
        )
        self._server: HTTPServer | MemoryServer = (
            MemoryServer(self._service)
            if in_memory
            else HTTPServer(self._service, host=host, port=port)
        )
        self._is_open = False
        self._thread: LoopThread | None = None

    # -- opening and closing

    async def open(self) -> Self:
        """Start to serve on the running event loop, and return self.

        Raises:
            RuntimeError: it is already open.
            OSError: it cannot listen at `host` and `port`, or, after it was closed, another
                `LocalECR` uses its `data` directory.
        """
        if self._is_open:
            message = "this LocalECR is already open"
            raise RuntimeError(message)

        with ExitStack() as opened:
            for registry in self._service.registries.values():
                opened.callback(registry.close)
                registry.open()
            await self._server.open()
            opened.pop_all()

        self._is_open = True
        return self

    async def aclose(self) -> None:
        """Stop serving, and unlock the `data` directory. Safe to call twice.

        Open connections are closed, and running requests are cut off. In memory, running requests
        finish.
        """
        self._is_open = False
        await self._server.aclose()
        for registry in self._registries:
            registry.close()

    async def __aenter__(self) -> Self:
        """Start to serve."""
        return await self.open()

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop serving."""
        await self.aclose()

    def __enter__(self) -> Self:
        """Start to serve in an own thread. Raises as `open()`, and RuntimeError in memory."""
        if isinstance(self._server, MemoryServer):
            message = (
                "a LocalECR in memory cannot be served in a thread: use "
                "`async with LocalECR(in_memory=True)`"
            )
            # The cause is an option of this object, not the type of an argument.
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

        In a forked child, the method does nothing, because the thread belongs to the parent.
        """
        thread, self._thread = self._thread, None
        if thread is not None and thread.is_here:
            try:
                thread.run(self.aclose())
            finally:
                thread.stop()

    # -- how to reach it

    @property
    def region(self) -> str:
        """The Region that it serves."""
        return self._registry.region

    @property
    def account(self) -> str:
        """The id of the registry for requests without one."""
        return self._registry.account

    @property
    def endpoint_url(self) -> str:
        """The URL at which it listens, such as `http://127.0.0.1:49152`.

        In memory, the URL is a constant at which nothing listens.

        Raises:
            RuntimeError: it is not open.
        """
        self._require_open()
        return self._server.url

    @property
    def client_kwargs(self) -> ClientKwargs:
        """The arguments for `boto3.client("ecr", **ecr.client_kwargs)` or `create_client`.

        In memory, nothing is reached by them: use `session()`. Raises RuntimeError when it is not
        open.
        """
        return {
            "endpoint_url": self.endpoint_url,
            "region_name": self.region,
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The `AWS_*` variables with which clients without arguments reach it.

        The variables work for boto3, other SDKs, the AWS CLI and other processes. The session token
        is empty, because a token of the shell does not belong to these keys. Nothing is set: in a
        test, write `for name, value in ecr.environment.items(): monkeypatch.setenv(name, value)`.
        Raises RuntimeError when it is not open.
        """
        return {
            "AWS_ENDPOINT_URL_ECR": self.endpoint_url,
            "AWS_ENDPOINT_URL_ECR_PUBLIC": self.endpoint_url,
            "AWS_REGION": self.region,
            # boto3 reads only this variable.
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_SESSION_TOKEN": "",
        }

    def login_password(self) -> str:
        """Return a new password of the user `AWS` for `docker login` and other clients of `/v2/`.

        The password is one that GetAuthorizationToken and `aws ecr get-login-password` return. It
        is valid for 12 hours, for the default account in the first Region.

        >>> ecr = LocalECR()
        >>> ecr.login_password() == ecr.login_password()
        False
        """
        password, _ = self._registry.tokens.issue(self.account)
        return password

    def session(self) -> SessionLike:
        """Return a new aiobotocore session with the keys and the Region of this registry.

        The session ignores `AWS_*` variables, profiles, configuration files and proxies. Use it as
        `async with ecr.session().create_client("ecr", endpoint_url=ecr.endpoint_url) as client`.

        Raises:
            RuntimeError: it is not open.
        """
        self._require_open()
        server = self._server
        session_class = server.session_class() if isinstance(server, MemoryServer) else None
        session: SessionLike = local_session(self.region, session_class)
        return session

    def client(
        self, *, observer: Observer | None = None, **options: Unpack[ClientConfigChanges]
    ) -> ECRLayerClient:
        """Return an `ECRLayerClient` for this registry. Enter it with `async with`.

        Args:
            observer: as in `ECRLayerClient`. Default None.
            options: the fields of `ClientConfig`, such as `batch_size=7`.

        Raises:
            RuntimeError: it is not open.
            InvalidInputError: `ClientConfig` rejects an option.
        """
        # A LocalECR without clients of this library does not pay for importing the core.
        from ecr_layer_client._client import ECRLayerClient  # noqa: PLC0415
        from ecr_layer_client._models.config import ClientConfig  # noqa: PLC0415

        return ECRLayerClient(
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            session=self.session(),
            config=ClientConfig(**options),
            observer=observer,
        )

    def public_client(
        self, *, observer: Observer | None = None, **options: Unpack[ClientConfigChanges]
    ) -> ECRPublicLayerClient:
        """Return an `ECRPublicLayerClient` for this local ECR. Enter it with `async with`.

        Args:
            observer: as in `ECRPublicLayerClient`. Default None.
            options: as of `client`.

        Raises:
            RuntimeError: it is not open.
            InvalidInputError: `ClientConfig` rejects an option.
        """
        from ecr_layer_client._models.config import ClientConfig  # noqa: PLC0415
        from ecr_layer_client._public_client import ECRPublicLayerClient  # noqa: PLC0415

        return ECRPublicLayerClient(
            endpoint_url=self.endpoint_url,
            session=self.session(),
            config=ClientConfig(**options),
            observer=observer,
        )

    # -- contents

    # Each method takes a repository as the client does: a name, a URI, an ARN or a `Repository`.
    # A repository of another account, or of another served Region, is one of that registry. A
    # repository is created when contents are added to it.

    def create_repository(self, name: str | Repository, *, registry_id: str | None = None) -> str:
        """Make sure that a repository exists, and return its URI.

        Unlike CreateRepository of the API, this method accepts a repository that exists, so that
        you can combine fixtures.

        Args:
            name: a name that ECR accepts, such as "team/app", a registry URI, an ARN or a
                `Repository`.
            registry_id: another registry than `account`, 12 digits. Default None: the registry in
                `name`, if any.

        Raises:
            ValueError: the name or the registry id breaks ECR's rules, or the name has a Region
                that is not served.
        """
        return self._contents.create_repository(name, registry_id)

    def seed(
        self,
        name: str | Repository,
        descriptors: Iterable[Descriptor],
        *,
        registry_id: str | None = None,
    ) -> None:
        """Add layers of which only the digest and the size are known.

        Clients can check these layers, but cannot download them.

        Args:
            name: the repository, as in `create_repository`, created if absent.
            descriptors: each is `(digest, size)`, `(digest, size, media_type)`, a mapping with
                `digest`, `size` and `mediaType`, or any object with `.digest`, `.size` and
                `.media_type`. Digests are stored in lower case.
            registry_id: another registry than `account`. Default None.

        Raises:
            ValueError: the name is not valid, or a descriptor has no well-formed digest or size.
                Then no layer is added.
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
        """Add a layer of these bytes to a repository, and return its digest.

        The repository is created if absent. As in ECR, clients can download the layer once an image
        refers to it.

        Raises:
            ValueError: the name or the registry id breaks ECR's rules, or `data` is empty.
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
        """Add an image to a repository, and return its digest: that of the manifest's bytes.

        An image that exists already is accepted.

        Args:
            name: the repository, as in `create_repository`, created if absent.
            manifest: a manifest or an index, its `mediaType` included: bytes or a str, stored as
                they are, or a dict, which becomes JSON. The layers (or images) that it names must
                exist.
            tag: its tag. Default None: untagged.
            registry_id: another registry than `account`. Default None.

        Raises:
            ValueError: PutImage rejects the image. The message includes ECR's code and message.
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
        """Add an image of these layers to a repository, and return its digest.

        The method creates the config and the manifest (OCI).

        Args:
            name: the repository, as in `create_repository`, created if absent.
            layers: each is the bytes of a layer, or a descriptor as in `seed`, for a layer that
                cannot be downloaded.
            tag: its tag. Default None: untagged.
            registry_id: another registry than `account`. Default None.

        Raises:
            ValueError: a descriptor, a name or a tag is malformed, or a layer has no bytes.

        >>> ecr = LocalECR()
        >>> layers = [b"a layer", ("sha256:" + "a" * 64, 32_000_000)]
        >>> ecr.seed_image("app", layers, "1.0") == ecr.seed_image("copy", layers)
        True
        """
        return self._contents.seed_image(name, layers, tag, registry_id)

    def archive(
        self, name: str | Repository, digest: str, *, registry_id: str | None = None
    ) -> None:
        """Archive an image, so that it cannot be pulled.

        Layers that no active image refers to become ARCHIVED. UpdateImageStorageClass restores the
        image and its layers, and so does putting the image again. With the digest of a layer, only
        that layer becomes ARCHIVED, until it is uploaded or put again. Archiving an index does not
        archive the images that it lists.

        Raises:
            LookupError: the repository does not exist, or has neither an image nor a layer with
                this digest.
        """
        self._contents.archive(name, digest, registry_id)

    def expire_uploads(self) -> None:
        """End all uploads in progress, as ECR does after some time.

        Requests with their ids get UploadNotFoundException.
        """
        for registry in self._registries:
            registry.expire_uploads()

    # -- behaviour

    @property
    def faults(self) -> Faults:
        """The faults: `ecr.faults.add(error="ThrottlingException", times=3)` adds one."""
        return self._faults

    def set_quota(self, quota: Rates | None, burst: Rates | None = None) -> None:
        """Change the quota, from the next request on.

        None removes the quota. Saved tokens are kept, up to `burst`.

        Args:
            quota: as in `LocalECR`.
            burst: as in `LocalECR`. Default: as many as in one second.

        Raises:
            ValueError: a number is out of range, or an operation is not served.
        """
        change = partial(self._quotas.change, quota, burst)
        if self._thread is None:
            change()
        else:
            # The buckets count tokens by the time of the thread's loop.
            self._thread.call(change)

    def add_key(
        self,
        access_key: str,
        secret_key: str,
        session_token: str | None = None,
        *,
        expires: datetime | None = None,
    ) -> None:
        """Accept another access key from now on, beside that of `client_kwargs`.

        A key with the same id is replaced, as in a rotation.

        Args:
            access_key: the id of the key.
            secret_key: the secret that signs requests.
            session_token: the token that requests with a temporary key must have. Default None: a
                long-term key, without a token.
            expires: an aware datetime, on the registry's clock. From then on, requests with the key
                get ExpiredTokenException. Default None: never.

        Raises:
            ValueError: an argument is empty, or `expires` has no time zone.
        """
        if not access_key or not secret_key or session_token == "":
            message = (
                "access_key, secret_key and session_token must not be empty: for a key without a "
                "token, use session_token=None"
            )
            raise ValueError(message)
        if expires is not None and expires.tzinfo is None:
            message = f"expires={expires!r} has no time zone: use datetime.now(timezone.utc)"
            raise ValueError(message)

        expiry = None if expires is None else expires.timestamp()
        self._signatures.add(access_key, Key(secret_key, session_token, expiry))

    def remove_key(self, access_key: str) -> None:
        """Remove an access key. Requests with it get UnrecognizedClientException.

        Raises LookupError when there is no such key.
        """
        self._signatures.remove(access_key)

    def expire(self, access_key: str) -> None:
        """Let a key expire now. Requests with it get ExpiredTokenException.

        Raises LookupError when there is no such key.
        """
        self._signatures.expire(access_key)

    @property
    def clock_skew(self) -> float:
        """Seconds that the registry's clock is ahead of this machine's. Default 0.0.

        A negative number means behind. With more than five minutes in either direction, signatures
        are rejected as expired or as not yet current.
        """
        return self._clock.skew

    @clock_skew.setter
    def clock_skew(self, seconds: float) -> None:
        self._clock.skew = seconds

    # -- statistics

    @property
    def stats(self) -> Stats:
        """The requests so far, by operation and outcome. `stats.reset()` starts again."""
        return self._service.stats

    @property
    def connections(self) -> int:
        """How many connections are open, idle ones included.

        In memory, how many HTTP sessions of clients are open.
        """
        return self._server.connections

    @property
    def in_flight(self) -> int:
        """How many requests are being answered now.

        In memory, a response whose body was not read to its end counts.
        """
        return self._server.in_flight

    def __repr__(self) -> str:
        """Return the account, the Region and the address, for logs and test reports."""
        where = self._server.url if self._is_open else "closed"
        return f"<LocalECR {self.account} {self.region} {where}>"

    def _require_open(self) -> None:
        if not self._is_open:
            message = (
                "this LocalECR is not open: use `async with LocalECR() as ecr:` or "
                "`with LocalECR() as ecr:`"
            )
            raise RuntimeError(message)
