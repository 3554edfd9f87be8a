"""Transfers that cause the messages of push, pull and copy, by their entries in troubleshooting."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import RetryPolicy
from ecr_layer_client.images import ImageSource
from ecr_layer_client.transfers import TransferResult
from images.making import IMAGE, entry, packed, sha256, write
from transfers.memory_downloads import download_from_memory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ecr_layer_client.local import LocalECR

    Case = Callable[[LocalECR], Awaitable[object]]

_APP, _BLOB = "team/app", b"{}"
_OTHER = "sha256:" + "b" * 64
_HASTY = RetryPolicy(max_attempts=1)
# A value that type checkers would refuse.
_any: Any = object()


def _manifest(**changes: object) -> bytes:
    return packed(mediaType=IMAGE, config=entry(_BLOB, "a/b") | changes, layers=[])


def _source(made: Any = (_BLOB,), **changes: object) -> ImageSource:
    """Return an image with one blob. The changes are those of the blob's descriptor."""
    return ImageSource.from_manifest(_manifest(**changes), blobs=lambda _: made)


def _push(source: Any = None, **options: Any) -> Case:
    """Return a case that pushes an image."""

    async def push(ecr: LocalECR) -> None:
        async with ecr.client(retry=_HASTY) as client:
            await client.push(_APP, source or _source(), **options)

    return push


def _pull(path: Any = "pulled", **options: Any) -> Case:
    """Return a case that pulls an image with one blob."""

    async def pull(ecr: LocalECR) -> None:
        ecr.put_layer(_APP, _BLOB)
        ecr.put_image(_APP, _manifest(), "one")
        with pytest.MonkeyPatch.context() as patch:
            download_from_memory(ecr, patch)
            async with ecr.client(retry=_HASTY) as client:
                await client.pull(_APP, "one", path, **options)

    return pull


def _copy(references: Any = "1.0", tags: Any = ("new",), **options: Any) -> Case:
    """Return a case that copies an image."""

    async def copy(ecr: LocalECR) -> None:
        async with ecr.client(retry=_HASTY) as client:
            await client.copy(_APP, references, tags=tags, **options)

    return copy


def _faulty(transfer: Case, operation: str, **fault: Any) -> Case:
    """Return a case in which ECR responds with a fault."""

    async def faulty(ecr: LocalECR) -> None:
        ecr.faults.add(operation=operation, **fault)
        await transfer(ecr)

    return faulty


def _answered(transfer: Case, operation: str, answer: dict[str, Any]) -> Case:
    return _faulty(transfer, operation, body=json.dumps(answer).encode())


async def _on_a_full_disk(ecr: LocalECR) -> None:
    def usage(_: object) -> SimpleNamespace:
        return SimpleNamespace(free=0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.disk_usage", usage)
        await _pull()(ecr)


async def _without_filelock(ecr: LocalECR) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "filelock", None)
        await _push(journal="journal")(ecr)


async def _into_other_files(ecr: LocalECR) -> None:
    write(Path("other"), {"notes.txt": b"mine"})
    await _pull("other")(ecr)


def _chunks(data: bytes) -> Callable[[object], list[bytes]]:
    return lambda _: [data]


async def _immutable(ecr: LocalECR) -> None:
    options = {"endpoint_url": ecr.endpoint_url, "region_name": ecr.region}
    async with ecr.session().create_client("ecr", **options) as api:
        await api.create_repository(repositoryName="fixed", imageTagMutability="IMMUTABLE")
    async with ecr.client(retry=_HASTY) as client:
        for blob in (b"1", b"2"):
            manifest = packed(mediaType=IMAGE, config=entry(blob, "a/b"), layers=[])
            made = _chunks(blob)
            await client.push("fixed", ImageSource.from_manifest(manifest, blobs=made), tags=["v1"])


_BLAKE = {"mediaType": "a/b", "digest": f"blake3:{'a' * 64}", "size": 2}
_ODD = packed(mediaType=IMAGE, config=_BLAKE, layers=[])
_GOT = {"imageId": {"imageDigest": sha256(_ODD), "imageTag": "one"}, "imageManifest": _ODD.decode()}
_TWO = [_source(), _source(size=2, mediaType="c/d")]
_PUT = {"image": {"imageId": {"imageDigest": _OTHER}}}


def _made(make: Callable[[], object]) -> Case:
    async def made(_: LocalECR) -> None:
        make()

    return made


TRANSFERS: dict[str, Case] = {
    "journal=… can't be used: …": _push(journal="layout/index.json"),
    "journal=… is empty: …": _push(journal=""),
    "…: a directory needs filelock: …": _without_filelock,
    "after the upload of …, ECR computed another digest: …": _push(_source([b"[]"])),
    "… is truncated: it ends after … of … bytes": _push(_source([b"{"])),
    "blobs= must return an open binary file, or an iterable of bytes, not …": _push(_source(b"{}")),
    "can't be pushed, because ECR accepts sha256 digests only": _push(_source(**_BLAKE)),
    "has no size, because its manifest is of schema 1: …": _push(
        ImageSource.from_manifest(
            json.dumps(
                {
                    "schemaVersion": 1,
                    "name": "app",
                    "tag": "v1",
                    "architecture": "amd64",
                    "fsLayers": [{"blobSum": _OTHER}],
                    "history": [{"v1Compatibility": "{}"}],
                }
            ).encode(),
            blobs=lambda _: [],
        )
    ),
    "has 0 bytes, and ECR refuses empty blobs": _push(_source(digest=sha256(b""), size=0)),
    "has … bytes, and ECR accepts at most … (52,000 MiB)": _push(_source(size=2**36)),
    "the tag … already names another image, …": _immutable,
    "the tag … would name two images, …": _push(_TWO, tags=["v1"]),
    "path=… looks like an archive: …": _pull("image.tar"),
    "path=… is neither empty nor an OCI layout: …": _into_other_files,
    "the layers to pull have …, but only … are free": _on_a_full_disk,
    "… can't be pulled: only sha256 and sha512 digests can": _answered(
        _pull(), "BatchGetImage", {"images": [_GOT]}
    ),
    "a copy within one repository needs tags=: …": _copy(tags=None),
    "push to repository …: timeout=… s expired, …": _faulty(
        _push(timeout=0.1), "InitiateLayerUpload", latency=5.0
    ),
    "… from repository …: timeout=… s expired: …": _faulty(
        _pull(timeout=0.1), "GetDownloadUrlForLayer", latency=5.0
    ),
    "the download was refused with … (HTTP …)": _faulty(
        _pull(), "GetLayer", error="NoSuchKey", status=404
    ),
    "the download URL has expired (…)": _faulty(
        _pull(), "GetLayer", error="AccessDenied", status=403
    ),
    "the response has the whole layer instead of the requested range: check proxies": _faulty(
        _pull(), "GetLayer", body=_BLOB
    ),
    "ECR's download URL of … is not a URL with a host, …": _answered(
        _pull(), "GetDownloadUrlForLayer", {"downloadUrl": "ftp://example.com/"}
    ),
    "the response for … has more bytes than the requested range": _faulty(
        _pull(), "GetLayer", body=b"longer", status=206
    ),
    "the response ended … bytes early": _faulty(_pull(), "GetLayer", body=b"{", status=206),
    "no complete response: …": _faulty(_pull(), "GetLayer", reset=True),
    "ECR sent … twice, and both times the bytes had another digest": _faulty(
        _pull(), "GetLayer", body=b"[]", status=206
    ),
    "ECR's response says that it received the bytes up to …, …": _answered(
        _push(), "UploadLayerPart", {"lastByteReceived": 5}
    ),
    "ECR's response is about the layer … instead of …": _answered(
        _push(), "CompleteLayerUpload", {"layerDigest": _OTHER}
    ),
    "ECR's response is about the image … instead of …": _answered(_push(), "PutImage", _PUT),
    "ECR's response does not describe the repository …": _answered(
        _push(tags=["1.0"]), "DescribeRepositories", {"repositories": []}
    ),
    "TransferResult has no truth value: …": _made(lambda: bool(TransferResult())),
    "a transfer of … has no single digest: read result.images": _made(
        lambda: TransferResult().digest
    ),
    "… is not known, so there is no URI: …": _made(
        lambda: TransferResult.of(_APP, images={_OTHER: []}).uri
    ),
    "journal=… must be a directory (str or Path), …": _push(journal=_any),
    "tags=… must be an iterable of tags, …": _push(tags="v1"),
    "tags: … is not a valid tag: …": _push(tags=["-"]),
    "references=… must be a tag or a digest, …": _copy(_any),
    "references is empty: …": _copy([]),
    "to=… must be an open client, …": _copy(to=_any),
    "results=… must be one or more TransferResult objects": _made(lambda: TransferResult.total([])),
}
