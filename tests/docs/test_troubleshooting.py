"""The troubleshooting page has each message that the library gives, and no other."""

from __future__ import annotations

import ast
import asyncio
import json
import multiprocessing
import os
import pickle
import re
import sys
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

import ecr_layer_client
from docs.image_messages import FILES
from docs.table_messages import TABLES
from docs.transfer_messages import TRANSFERS
from ecr_layer_client import (
    AWSKeys,
    ByRepository,
    ClientConfig,
    ECRLayerClient,
    ECRPublicLayerClient,
    LayerAvailability,
    LayerCheckResult,
    LayerCheckResults,
    LayerFailureCode,
    PublicRepository,
    Repository,
    RetryPolicy,
)
from ecr_layer_client.cli.references import private_repository
from ecr_layer_client.images import ImageSource, PushPlan, parse_manifest, plan
from ecr_layer_client.local import LocalECR
from images.making import image

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator

    Case = Callable[[LocalECR], Awaitable[object]]

_PAGE = Path(__file__).parents[2] / "docs/troubleshooting.md"
_ENTRY = re.compile(r"^(?:### |\| )`([^`]+(?:`async with[^`]*`[^`]*)*)`", re.MULTILINE)
_ENTRIES = _ENTRY.findall(_PAGE.read_text(encoding="utf-8"))
_ROOT = Path(ecr_layer_client.__file__).parent
_PACKAGES = (
    *("_calls", "_checks", "_models", "_text", "_transport"),
    *("distributed", "images", "transfers"),
)
_SOURCES = [
    *sorted(_ROOT.glob("*.py")),
    *(path for package in _PACKAGES for path in sorted((_ROOT / package).rglob("*.py"))),
]

_APP = "team/app"
_HELD, _NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
_HASTY = RetryPolicy(max_attempts=1)


@asynccontextmanager
async def _client(**options: Any) -> AsyncGenerator[ECRLayerClient]:
    every: dict[str, Any] = {"config": ClientConfig(retry=_HASTY)} | options
    async with ECRLayerClient(**every) as client:
        yield client


async def _asked(client: ECRLayerClient, *digests: str) -> LayerCheckResult:
    return await client.check_layers(_APP, digests or [_NEW])


def _faulty(**fault: Any) -> Case:
    """Return a case that adds a fault and checks a digest."""

    async def ask(ecr: LocalECR) -> None:
        ecr.faults.add(**fault)
        async with ecr.client(
            retry=_HASTY, max_response_bytes=1_000, attempt_timeout=0.2
        ) as client:
            await _asked(client)

    return ask


async def _unsupported(ecr: LocalECR) -> None:
    ecr.faults.add(error="UnsupportedCommandException")
    async with ecr.public_client().for_region("eu-west-1") as client:
        await client.check_layers(_APP, ["sha256:aa"])


def _called(call: Callable[[ECRLayerClient], Any]) -> Case:
    """Return a case that calls an open client."""

    async def ask(ecr: LocalECR) -> None:
        async with ecr.client(retry=_HASTY) as client:
            await _awaited(call(client))

    return ask


def _made(make: Callable[[], object]) -> Case:
    """Return a case that makes an object, or an awaitable that sends no request."""

    async def ask(_: LocalECR) -> None:
        await _awaited(make())

    return ask


def _opened(**options: Any) -> Case:
    """Return a case that opens a client with the environment's settings and checks a digest."""

    async def ask(_: LocalECR) -> None:
        async with _client(**options) as client:
            await _asked(client)

    return ask


async def _awaited(value: object) -> None:
    if asyncio.iscoroutine(value):
        await value


def _without(*names: str) -> Case:
    """Return a case that opens a client without some environment variables and checks a digest."""

    async def ask(_: LocalECR) -> None:
        for name in names:
            del os.environ[name]

        async with _client() as client:
            await _asked(client)

    return ask


def _with(**variables: str) -> Case:
    async def ask(_: LocalECR) -> None:
        os.environ.update(variables)
        async with _client() as client:
            await _asked(client)

    return ask


async def _wrong_secret(ecr: LocalECR) -> None:
    os.environ["AWS_SECRET_ACCESS_KEY"] = "another"  # noqa: S105 (not a real key)
    await _opened()(ecr)


async def _unreachable_proxy(ecr: LocalECR) -> None:
    os.environ["HTTP_PROXY"] = "http://127.0.0.1:9"
    await _opened()(ecr)


async def _newline_in_a_secret(ecr: LocalECR) -> None:
    os.environ["AWS_SECRET_ACCESS_KEY"] += "\n"
    await _opened()(ecr)


async def _unknown_region(ecr: LocalECR) -> None:
    del os.environ["AWS_ENDPOINT_URL_ECR"]
    await _opened(region_name="eu-wst-1")(ecr)


async def _skewed(ecr: LocalECR) -> None:
    ecr.clock_skew = 3_600.0
    async with ecr.client(retry=_HASTY) as client:
        await _asked(client)


async def _expired_session_keys(_: LocalECR) -> None:
    async with LocalECR() as other:
        keys = other.client_kwargs
        other.expire(keys["aws_access_key_id"])
        session = AioSession()
        session.set_credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"])

        async with _client(
            session=session, endpoint_url=other.endpoint_url, region_name=other.region
        ) as client:
            await _asked(client)


async def _keys_of_the_provider() -> AWSKeys:
    raise LookupError("the vault is sealed")


def _unsigned_session() -> Any:
    session: Any = AioSession()
    session.set_default_client_config(AioConfig(signature_version="v9"))
    return session


class _OnlyClients:
    """A session with only the method that `SessionLike` requires."""

    def create_client(self, *args: Any, **options: Any) -> Any:
        session: Any = AioSession()
        return session.create_client(*args, **options)


async def _by_tls(ecr: LocalECR) -> None:
    await _opened(endpoint_url=os.environ["AWS_ENDPOINT_URL_ECR"].replace("http:", "https:"))(ecr)


async def _without_bundle(ecr: LocalECR) -> None:
    os.environ["AWS_CA_BUNDLE"] = "no-such-bundle.pem"
    await _by_tls(ecr)


async def _on_another_loop(_: LocalECR) -> None:
    async with _client() as client:
        await asyncio.to_thread(lambda: asyncio.run(_asked(client)))


async def _forked(_: LocalECR) -> None:
    async with _client() as client:
        reader, writer = multiprocessing.Pipe(duplex=False)
        child = os.fork()
        if child == 0:
            try:
                client.stream_layers(_APP, [_NEW])
                writer.send("nothing was raised")
            except Exception as error:  # noqa: BLE001 (the parent raises it)
                writer.send(error)
            finally:
                os._exit(0)

        os.waitpid(child, 0)  # noqa: ASYNC222 (the child exits at once)
        received = reader.recv()
        if isinstance(received, Exception):
            raise received


async def _closed_under_way(ecr: LocalECR) -> None:
    ecr.faults.add(latency=30.0)
    async with ecr.client() as client:
        check = asyncio.ensure_future(_asked(client))
        await asyncio.sleep(0)
        await client.aclose()
        await check


async def _without_asyncio(ecr: LocalECR) -> None:
    await asyncio.to_thread(ecr.client().open().send, None)


async def _entered_twice(client: ECRLayerClient) -> None:
    await client.open()


async def _read_outside(client: ECRLayerClient) -> None:
    await client.stream_layers(_APP, [_NEW]).collect()


async def _read_twice(client: ECRLayerClient) -> None:
    async with client.stream_layers(_APP, [_NEW]) as stream:
        await stream.collect()
        await stream.collect()


async def _stream_entered_twice(client: ECRLayerClient) -> None:
    async with client.stream_layers(_APP, [_NEW]) as stream, stream:
        pass


async def _block_left(client: ECRLayerClient) -> None:
    async with client.stream_layers(_APP, [_NEW]) as stream:
        reading = asyncio.ensure_future(stream.collect())
        await asyncio.sleep(0)
    await reading


async def _two_readers(client: ECRLayerClient) -> None:
    async with client.stream_layers(_APP, [_NEW]) as stream:
        await asyncio.gather(anext(stream), anext(stream))


async def _one_way(client: ECRLayerClient, *digests: str) -> None:
    (await _asked(client, *digests)).raise_if_not_available()


async def _failed(client: ECRLayerClient) -> None:
    (await _asked(client, "latest")).raise_for_failures()


async def _as_a_bool(client: ECRLayerClient) -> None:
    bool(await _asked(client))


async def _many_as_a_bool(client: ECRLayerClient) -> None:
    bool(await client.check_many({_APP: [_NEW]}))


async def _many_async(client: ECRLayerClient) -> None:
    async def digests() -> AsyncIterator[str]:
        yield _NEW

    refused: Any = {_APP: digests()}
    await client.check_many(refused)


def _of_the_borrowed(use: Callable[[Any], object], retries: int = 1) -> Case:
    """Return a case that uses an aiobotocore client of the caller."""

    async def borrow(_: LocalECR) -> None:
        session: Any = AioSession()
        async with session.create_client(
            "ecr", config=AioConfig(retries={"total_max_attempts": retries})
        ) as client:
            use(client)

    return borrow


def _not_installed(module: str, use: Case) -> Case:
    """Return a case that runs another one as if a module were not installed."""

    async def without(ecr: LocalECR) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name in [
                name for name in sys.modules if name == module or name.startswith(f"{module}.")
            ]:
                patch.delitem(sys.modules, name)
            patch.setitem(sys.modules, module, None)

            # These modules import it, and so must be imported again.
            for name in ("arrow", "otel", "_models.record_batches", "images._record_batches"):
                patch.delitem(sys.modules, f"ecr_layer_client.{name}", raising=False)

            await use(ecr)

    return without


def _cut_archive() -> None:
    Path("cut.tar").write_bytes(b"\x1f\x8b no archive")
    ImageSource.from_docker_archive("cut.tar")


def _changed_layout(change: Callable[[Path], object]) -> Callable[[], object]:
    """Return a function that changes a layer of the layout and then reads all its blobs."""

    def read() -> None:
        blobs = sorted(Path("layout/blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
        change(next(blob for blob in blobs if not blob.read_bytes().startswith(b"{")))

        source = ImageSource.from_path("layout")
        for blob in source.blobs:
            with source.open(blob) as file:
                file.read()

    return read


def _flipped(blob: Path) -> None:
    data = blob.read_bytes()
    blob.write_bytes(bytes([data[0] ^ 1]) + data[1:])


async def _other_platform(ecr: LocalECR) -> None:
    async with ecr.client() as client:
        image = (await client.get_image(_APP, "1.0")).roots[0]
        platform = {"os": "linux", "architecture": "amd64"}
        here = {
            "mediaType": image.media_type,
            "digest": image.digest,
            "size": len(image.raw),
            "platform": platform,
        }
        index = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [here],
        }

        ecr.put_image(_APP, json.dumps(index), "all")
        await client.get_image(_APP, "all", "linux/arm64")


def _answered(answer: dict[str, Any]) -> Case:
    """Return a case in which BatchGetImage has this response."""

    async def ask(ecr: LocalECR) -> None:
        ecr.faults.add(operation="BatchGetImage", body=json.dumps(answer).encode())
        async with ecr.client(retry=_HASTY) as client:
            await client.get_image(_APP, "1.0")

    return ask


def _listed(answer: dict[str, Any]) -> Case:
    """Return a case in which each ListImages has this response."""

    async def ask(ecr: LocalECR) -> None:
        ecr.faults.add(operation="ListImages", body=json.dumps(answer).encode())
        async with ecr.client(retry=_HASTY) as client:
            async for _ in client.audit(_APP):
                pass

    return ask


_IMAGES_OF_ANOTHER = {
    "images": [{"imageId": {"imageDigest": _NEW, "imageTag": "1.0"}, "imageManifest": "{}"}]
}
# An object that type checkers accept for every type.
_any: Any = object()
_unknown: dict[str, Any] = {"size": 1}
_CASES: dict[str, Case] = {
    "found no usable AWS credentials: …": _without(
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
    ),
    "renew the credentials (…)": _with(AWS_ACCESS_KEY_ID="unknown"),
    "renew the credentials of your session or client, …": _expired_session_keys,
    "the secret access key does not belong to the access key id: …": _wrong_secret,
    "this machine's clock is wrong…": _skewed,
    "the proxy … can't be reached: …": _unreachable_proxy,
    "the proxy requires credentials: …": _faulty(status=407),
    "ECR received the request too late, although this machine's clock is right: …": _faulty(
        error="InvalidSignatureException", message="Signature expired: too old"
    ),
    "the AWS keys are not valid: …": _newline_in_a_secret,
    "the provider passed as credentials= did not return valid AWS keys: …": _opened(
        credentials=_keys_of_the_provider
    ),
    "found no AWS Region…: …": _without("AWS_REGION", "AWS_DEFAULT_REGION"),
    "AWS_REGION is …, but botocore does not read it": _without("AWS_DEFAULT_REGION"),
    "botocore does not know the AWS Region …: …": _unknown_region,
    "the AWS configuration is not valid: …": _opened(profile_name="none"),
    "repository … is in Region …, but this client is for …": _called(
        lambda client: client.check_layers(
            "123456789012.dkr.ecr.ap-south-1.amazonaws.com/team/app", [_NEW]
        )
    ),
    "endpoint_url=… is plain http to another machine: …": _made(
        lambda: ECRLayerClient(endpoint_url="http://ecr.example.com")
    ),
    "no response came (…): check the network, …": _opened(endpoint_url="http://127.0.0.1:9"),
    "no response within attempt_timeout=…": _faulty(latency=30.0),
    "TLS failed (…): …": _by_tls,
    "the request failed (…): …": _without_bundle,
    "the request could not be made (…): …": _opened(session=_unsigned_session()),
    "… within timeout=… s: allow more time; …": _called(
        lambda client: client.check_layers(_APP, [_NEW], timeout=0.000_001)
    ),
    "ECR returned RepositoryNotFoundException …": _called(
        lambda client: client.check_layers("team/gone", [_NEW])
    ),
    "the request was signed for ECR in Region …: …": _faulty(
        error="InvalidSignatureException",
        message="Credential should be scoped to a valid region, not 'us-east-1'. ",
    ),
    "allow the IAM action …": _faulty(error="AccessDeniedException"),
    "lower requests_per_second, or ask AWS to raise the quota": _faulty(
        error="ThrottlingException"
    ),
    "try again later; the request id helps AWS Support": _faulty(error="ServerException"),
    "ECR returned InvalidParameterException …": _faulty(error="InvalidParameterException"),
    "ECR sends results with status 200 only, …": _faulty(body=b"{}", status=202),
    "redirects are refused, …": _faulty(redirect_to="https://elsewhere.example.com/"),
    "ECR's response breaks its contract: …": _faulty(body=b"<html>"),
    "ECR's response mentions none of the … digests of the request: …": _faulty(drop_rows=1),
    "the response is larger than max_response_bytes=…": _faulty(body=b"{" + b" " * 2_000),
    "the client is …: use it inside …": _made(lambda: _asked(ECRLayerClient())),
    "the client needs asyncio, …": _without_asyncio,
    "the client is already open: …": _called(_entered_twice),
    "the client was opened on another event loop: …": _on_another_loop,
    "the client was opened before this process was forked: …": _forked,
    "the client was closed while …": _closed_under_way,
    "a client holds connections and credentials and can't be pickled: …": _called(pickle.dumps),
    "a LayerStream can be read only inside its async with block: …": _called(_read_outside),
    "the 'async with' block ended while another task was still reading the stream": _called(
        _block_left
    ),
    "a LayerStream can be read only once, …": _called(_read_twice),
    "a LayerStream can be entered only once: …": _called(_stream_entered_twice),
    "another task is already reading this LayerStream: …": _called(_two_readers),
    "… of … layers of … are not available: …; …": _called(_one_way),
    "… of … layers of … could not be determined: …; …": _called(_failed),
    "… are malformed and can never become available, …": _called(
        lambda client: client.wait_until_available(_APP, ["latest"], timeout=1.0)
    ),
    "LayerCheckResult has no truth value: …": _called(_as_a_bool),
    "LayerCheckResults has no truth value: …": _called(_many_as_a_bool),
    "… is missing, but a manifest lists it …": _made(_changed_layout(Path.unlink)),
    "…: it was changed…": _made(_changed_layout(_flipped)),
    "… is not a complete tar archive, plain or gzipped: …": _made(_cut_archive),
    "… can't be read: …": _made(lambda: ImageSource.from_path("no-such-file")),
    "… has no image for …: …": _other_platform,
    "ECR has no such image (…: …): …": _called(lambda client: client.get_image(_APP, "gone")),
    "ECR's response gives the digest … for a manifest whose bytes have the digest …": _answered(
        _IMAGES_OF_ANOTHER
    ),
    "ECR's response leaves out … of … images of the request: …": _answered({}),
    "ECR's response lists an image without a digest": _listed({"imageIds": [{"imageTag": "1.0"}]}),
    "ECR's response names a next page that was already read": _listed(
        {"imageIds": [], "nextToken": "again"}
    ),
    **{message: _made(read) for message, read in FILES.items()},
    **TRANSFERS,
    **TABLES,
    "a manifest has at most … bytes (4 MiB), but this one has …": _made(
        lambda: parse_manifest(b" " * (4 * 2**20 + 1))
    ),
    "your aiobotocore client makes up to … attempts for each attempt of this library, …": (
        _of_the_borrowed(ECRLayerClient.from_client, retries=5)
    ),
    "progress=True shows a bar only if tqdm is installed: …": _not_installed(
        "tqdm", _called(lambda client: client.check_layers(_APP, [_NEW], progress=True))
    ),
    "tables need pyarrow: …": _not_installed(
        "pyarrow", _made(lambda: import_module("ecr_layer_client.arrow"))
    ),
    "to_pandas() needs pandas: …": _not_installed(
        "pandas", _made(lambda: LayerCheckResult.of(_APP, {}).to_pandas())
    ),
    "to_polars() needs polars: …": _not_installed(
        "polars", _made(lambda: LayerCheckResult.of(_APP, {}).to_polars())
    ),
    "traces and metrics need opentelemetry-api: …": _not_installed(
        "opentelemetry", _made(lambda: import_module("ecr_layer_client.otel"))
    ),
    "… is not a valid ECR repository name: …": _made(lambda: Repository(name="Team/App")),
    "… names more than a repository: …": _made(lambda: Repository.parse("team/app:latest")),
    "… begins with a host and a port, …": _made(
        lambda: Repository.parse("localhost:5000/team/app")
    ),
    "… is a repository of ECR Public: …": _made(
        lambda: Repository.parse("public.ecr.aws/team/app")
    ),
    "… is a repository of ECR: use ECRLayerClient": _made(
        lambda: PublicRepository.coerce(Repository(name=_APP))
    ),
    "… is a repository of ECR Public, and … needs a private one: …": _made(
        lambda: private_repository("public.ecr.aws/team/app", "verify")
    ),
    "… has a Region, but ARNs of ECR Public have none: …": _made(
        lambda: PublicRepository.parse(
            "arn:aws:ecr-public:us-east-1:123456789012:repository/team/app"
        )
    ),
    "… is not a valid repository name of ECR Public: …": _made(
        lambda: PublicRepository(name="Team/App")
    ),
    "… is not a valid registry of ECR Public: …": _made(
        lambda: PublicRepository.parse("public.ecr.aws/Team/app")
    ),
    "ECR Public has endpoints in us-east-1 and us-west-2 only: …": _unsupported,
    "… has no endpoint in Region …: …": _made(
        lambda: ECRPublicLayerClient(region_name="eu-west-1")
    ),
    "this is a client of …: pass it to ….from_client": _of_the_borrowed(
        ECRPublicLayerClient.from_client
    ),
    "plans for ECR and for ECR Public have no total, …": _made(
        lambda: PushPlan.total(
            [
                plan(ImageSource.from_manifest(image("app", "base").manifest), {}, repository=name)
                for name in (_APP, "public.ecr.aws/team/app")
            ]
        )
    ),
    "… is not a valid registry URI: …": _made(
        lambda: Repository.parse("1234.dkr.ecr.eu-west-1.amazonaws.com/team/app")
    ),
    "… names a registry but no repository: …": _made(
        lambda: Repository.parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com")
    ),
    "… is not the ARN of an … repository: …": _made(
        lambda: Repository.parse("arn:aws:s3:::bucket")
    ),
    "… is not a valid registry id: …": _made(lambda: Repository(name=_APP, registry_id="12")),
    "… is not a valid AWS Region: …": _made(lambda: Repository(name=_APP, region="Ireland")),
    "a repository must be a str or a Repository, not …": _made(lambda: Repository.parse(_any)),
    "digests is one str, …: pass …": _called(lambda client: client.check_layers(_APP, _NEW)),
    "digests is …: pass …": _called(lambda client: client.check_layers(_APP, _any)),
    "digests[…] is …, of type …: every digest must be a str": _called(
        lambda client: client.check_layers(_APP, [_any])
    ),
    "digest is …, of type …: a digest must be a str": _called(
        lambda client: client.check_layer(_APP, _any)
    ),
    "digests[…] is …: every item must be a pair (repository, digest)": _called(
        lambda client: client.check_many([_any])
    ),
    "… is an async iterable: pass an async iterable of pairs …": _called(_many_async),
    "two of the repositories differ only in their Region: …": _made(
        lambda: ByRepository(
            {Repository(name=_APP): 1, Repository(name=_APP, region="us-east-1"): 2}
        )
    ),
    "timeout=… must be a number of seconds greater than 0 and less than 1,000,000,000": _called(
        lambda client: client.check_layers(_APP, [_NEW], timeout=0)
    ),
    "progress=… must be True, False, or a function (not async) that takes a Progress": _called(
        lambda client: client.check_layers(_APP, [_NEW], progress=_any)
    ),
    "config=… must be a ClientConfig, …": _made(lambda: ECRLayerClient(config=_any)),
    "ClientConfig …=…: …": _made(lambda: ClientConfig(batch_size=101)),
    "ClientConfig has no option …: …": _made(lambda: ClientConfig(**_unknown)),
    "requests_per_second: … is not an operation: …": _made(
        lambda: ClientConfig(requests_per_second={"PutImages": 5.0})
    ),
    "RetryPolicy: initial_backoff=… is longer than max_backoff=…: lower initial_backoff": _made(
        lambda: RetryPolicy(initial_backoff=2.0, max_backoff=1.0)
    ),
    "observer=… must be an object with the methods …": _made(lambda: ECRLayerClient(observer=_any)),
    "session=… must be an aiobotocore session, …": _made(lambda: ECRLayerClient(session=_any)),
    "profile_name=… can't be used with session=: …": _made(
        lambda: ECRLayerClient(profile_name="p", session=AioSession())
    ),
    "credentials= can't be used with session=: …": _made(
        lambda: ECRLayerClient(credentials=_keys_of_the_provider, session=AioSession())
    ),
    "credentials=… must be an async function …": _made(lambda: ECRLayerClient(credentials=_any)),
    "AWSKeys … must be a str that is not empty": _made(lambda: AWSKeys("", "secret")),
    "AWSKeys expires=… must be a datetime with a time zone, …": _made(
        # It is naive.
        lambda: AWSKeys("id", "secret", expires=datetime.min + timedelta(days=1))  # noqa: DTZ901
    ),
    "region_name=… must be a str that is not empty, or None": _made(
        lambda: ECRLayerClient(region_name="")
    ),
    "endpoint_url is not a valid URL: …": _made(lambda: ECRLayerClient(endpoint_url="http://[")),
    "endpoint_url contains a user name or password: …": _made(
        lambda: ECRLayerClient(endpoint_url="https://me:secret@ecr.example.com")
    ),
    "endpoint_url=… has no scheme: …": _made(lambda: ECRLayerClient(endpoint_url="localhost:4510")),
    "endpoint_url must have the form https://HOST[:PORT], …": _made(
        lambda: ECRLayerClient(endpoint_url="ftp://ecr.example.com")
    ),
    "from_client takes an open aiobotocore ECR client, not …": _made(
        lambda: ECRLayerClient.from_client(_any)
    ),
    "for_region can't change the Region of an aiobotocore client: …": _of_the_borrowed(
        lambda client: ECRLayerClient.from_client(client).for_region("us-east-1")
    ),
    "transport='signed' can't be used with from_client: …": _of_the_borrowed(
        lambda client: ECRLayerClient.from_client(client, config=ClientConfig(transport="signed"))
    ),
    "transport='signed' needs an aiobotocore session: …": _opened(
        session=_OnlyClients(), config=ClientConfig(transport="signed")
    ),
    "with_config can't change …, because it is an option of the connection: …": _called(
        lambda client: client.with_config(transport="client")
    ),
    "…=… must be a mapping of digests, …": _made(lambda: LayerCheckResult.of(_APP, _any)),
    "the outcome of … must be a Layer or a LayerFailure …": _made(
        lambda: LayerCheckResult.of(_APP, {_NEW: _any})
    ),
    "… is given twice, in upper and lower case: …": _made(
        lambda: LayerCheckResult.of(
            _APP,
            {
                _NEW: LayerAvailability.AVAILABLE,
                "sha256:" + "B" * 64: LayerFailureCode.NOT_REPORTED,
            },
        )
    ),
    "two of the results are of the same repository: …": _made(
        lambda: LayerCheckResults([LayerCheckResult.of(_APP, {})] * 2)
    ),
    "reference=… is not a valid reference to an image: …": _called(
        lambda client: client.get_image(_APP, "a tag")
    ),
    "part_size=… must be … bytes": _made(
        lambda: plan(ImageSource.from_path("layout"), {}, part_size=1)
    ),
    "sources=… must be one or more ImageSource objects, …": _called(
        lambda client: client.plan_push(_APP, _any)
    ),
    "sources=… must be a mapping of repositories to …": _called(
        lambda client: client.plan_pushes(_any)
    ),
    "platform=… is not a valid platform: …": _called(
        lambda client: client.get_image(_APP, "1.0", "linux")
    ),
}


def _pattern(entry: str) -> re.Pattern[str]:
    """Return a pattern that finds the messages of an entry, whose `…` stands for any text."""
    return re.compile(".*".join(map(re.escape, entry.split("…"))), re.DOTALL)


@pytest.fixture
def settings(user: None) -> Iterator[None]:  # noqa: ARG001 (whose settings they are)
    """Give the environment of a user whose account is a local ECR, and restore it afterwards."""
    kept = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(kept)


async def _within(case: Case) -> None:
    async with LocalECR(in_memory=True) as ecr:
        ecr.seed(_APP, [(_HELD, 1)])
        ecr.seed_image(_APP, [b"a layer"], "1.0")
        await case(ecr)


# From Python 3.12 on, os.fork, which a case calls, gives this warning.
@pytest.mark.usefixtures("settings")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("entry", _ENTRIES)
def test_the_library_gives_this_message(entry: str) -> None:
    """The library gives the message of each heading and row, as an error or as a warning."""
    with pytest.raises((Exception, Warning)) as raised:
        asyncio.run(_within(_CASES[entry]))
    assert _pattern(entry).search(str(raised.value))


def test_each_case_is_on_the_page() -> None:
    """The page has each message of the cases once, and no other message."""
    assert sorted(_ENTRIES) == sorted(_CASES)


def _messages(source: Path) -> list[str]:
    """Return the messages in a module's source, with `…` for each value in them."""
    assigned = [
        node.value
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "msg"
    ]
    return [_shown(value) for value in assigned]


def _shown(value: ast.expr) -> str:
    parts = value.values if isinstance(value, ast.JoinedStr) else [value]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)


_NOT_SPECIFIC = {
    "…=… does not agree with the outcomes",  # in a ValidationError, with the value
    "module … has no attribute …",  # Python's own
    # Filled in with "no response within attempt_timeout":
    "…: …: check the network, or allow more time",
    "… of … layers of … …: …",  # filled in with "are not available", or "could not be determined"
    "…: … within timeout=… s: …",  # filled in with "allow more time"
    "…; the last failed attempt before the timeout: …",  # added to "within timeout"
    "the client was closed while it was being opened",
    "the body of a request must have … bytes, but has …",  # to what makes such a body
    # What follows "not a valid manifest":
    (
        "not a valid digest: a digest is an algorithm, ':' and a value in lower-case "
        "hexadecimal, such as sha256: and 64 digits"
    ),
    "its media type is …, but it has the JSON keys of …",
    "it has no 'config'",
    "it begins with a byte order mark: JSON must be UTF-8 without one",
    "…: the descriptor of … has no …",
    "…: … has … …, but … in …",
    "…: … (the layer …)",  # filled in with "there is no … in this archive", for example
    "…: … (…) …",  # filled in with "has … layers, but manifest.json lists …"
    # What follows "can't be read":
    "the file is closed",
    "…: … …",  # filled in with "has 0 bytes, and ECR refuses empty blobs", for example
    # What stands before it: the file, and the manifest in it
    "…: …: …",
    "…: … is not valid: …",
    # What follows "is not a complete tar archive, plain or gzipped":
    "a header claims … bytes",
    "a header points before the beginning of the archive",
    "a header points backwards",
}


@pytest.mark.parametrize("source", _SOURCES, ids=lambda path: str(path.relative_to(_ROOT)))
def test_the_page_has_the_messages_of_a_module(source: Path) -> None:
    """The page has each message of the core and of images."""
    assert [
        message
        for message in _messages(source)
        if message not in _NOT_SPECIFIC and not _is_found(message)
    ] == []


def _is_found(message: str) -> bool:
    """Return whether an entry is a part of a message, or contains the message."""
    return any(
        _pattern(entry).search(message) or _pattern(message).search(entry) for entry in _ENTRIES
    )
