"""What a data directory keeps, and what in it is never believed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._registry.errors import AwsError
from local.limits import no_file_above

if TYPE_CHECKING:
    from ecr_layer_client.local._registry.registry import Registry

HELD = "sha256:" + "a" * 64
# ECR model: RepositoryName.
NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
REGIONS = ("us-east-1", "eu-west-1")
ONE = hashlib.sha256(b"one").hexdigest()
ONCE = AioConfig(retries={"total_max_attempts": 1})
# Of the one with the layer b"one".
DIGEST_OF_IMAGE = "sha256:6457e2ab42a9ca799bff38803b2966aee8f6a362a33ec0dc724071d2e2123b5a"
MANIFEST = f'{{"mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {{"digest": "sha256:{ONE}"}}, "layers": []}}'


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def registries(ecr: LocalECR) -> list[Registry]:
    """Return its registries."""
    return list(ecr._service.registries.values())


def files(directory: Path) -> list[Path]:
    """Return all files below a directory, but for the locks."""
    return [path for path in directory.rglob("*") if path.is_file() and path.name != "lock"]


def held(registry: Registry, data: bytes) -> bool:
    """Tell whether a registry holds these bytes."""
    blob = registry.store.get(digest_of(data))
    return blob is not None and blob[:] == data


def answers(ecr: LocalECR) -> list[Any]:
    """Return all that its registries tell of what they hold."""
    found: list[Any] = []
    for registry in registries(ecr):
        for registry_id in ("123456789012", "999999999999"):
            for repository in registry.run("DescribeRepositories", {"registryId": registry_id})[
                "repositories"
            ]:
                of_it = {"repositoryName": repository["repositoryName"], "registryId": registry_id}
                images = registry.run("ListImages", {**of_it, "filter": {"imageStatus": "ANY"}})[
                    "imageIds"
                ]
                layers = [HELD, digest_of(b"one"), digest_of(b"two")]
                found += [
                    repository,
                    images,
                    registry.run("DescribeImages", {**of_it, "filter": {"imageStatus": "ANY"}}),
                    registry.run("BatchGetImage", {**of_it, "imageIds": images})
                    if images
                    else None,
                    registry.run("BatchCheckLayerAvailability", {**of_it, "layerDigests": layers}),
                    [blob and blob[:] for blob in map(registry.store.get, layers)],
                ]
    return found


def test_all_that_was_held_is_held_after_a_restart(tmp_path: Path) -> None:
    """Repositories, layers with their bytes, images, tags and what is archived, of every account and Region, are there again."""
    first = LocalECR(data=tmp_path, regions=REGIONS)
    first.seed("seeded", [(HELD, 7, "text/plain")])
    first.put_layer("layers", b"one")
    first.archive("layers", digest_of(b"one"))
    first.seed_image(
        "arn:aws:ecr:eu-west-1:999999999999:repository/team/app",
        [b"one", b"two" * 100_000, (HELD, 7)],
        "1.0",
    )
    first.archive("app", first.seed_image("app", [b"two"], "old"))
    first.seed_image("app", [b"one"])
    registries(first)[0].run(
        "CreateRepository", {"repositoryName": "immutable", "imageTagMutability": "IMMUTABLE"}
    )
    before = answers(first)
    del first
    assert answers(LocalECR(data=str(tmp_path), regions=REGIONS)) == before
    assert len(before) == 5 * 6


def test_what_was_deleted_stays_deleted(tmp_path: Path) -> None:
    """Images, tags and repositories that were deleted do not come back, and the bytes that nothing else holds are gone."""
    registry = registries(first := LocalECR(data=tmp_path))[0]
    first.seed_image("kept", [b"one"], "1.0")
    first.seed_image("gone", [b"one", b"two"], "1.0")
    registry.run("BatchDeleteImage", {"repositoryName": "kept", "imageIds": [{"imageTag": "1.0"}]})
    registry.run("DeleteRepository", {"repositoryName": "gone", "force": True})
    del first, registry
    again = registries(LocalECR(data=tmp_path))[0]
    assert [
        each["repositoryName"] for each in again.run("DescribeRepositories", {})["repositories"]
    ] == ["kept"]
    assert again.run("ListImages", {"repositoryName": "kept"})["imageIds"] == []
    assert [held(again, b"one"), held(again, b"two")] == [True, False]


def test_an_upload_under_way_does_not_survive(tmp_path: Path) -> None:
    """After a restart an upload is unknown, and its bytes are gone."""
    registry = registries(first := LocalECR(data=tmp_path))[0]
    first.create_repository("app")
    upload_id = registry.run("InitiateLayerUpload", {"repositoryName": "app"})["uploadId"]
    part = {
        "repositoryName": "app",
        "uploadId": upload_id,
        "partFirstByte": 0,
        "partLastByte": 3,
        "layerPartBlob": b"data",
    }
    registry.run("UploadLayerPart", part)
    assert len(files(tmp_path)) == 2
    del first, registry
    again = registries(LocalECR(data=tmp_path))[0]
    with pytest.raises(AwsError, match="UploadNotFoundException"):
        again.run("UploadLayerPart", part)
    assert [path.suffix for path in files(tmp_path)] == [".json"]


def test_a_repository_that_is_deleted_takes_its_uploads_along(tmp_path: Path) -> None:
    """What arrived for an upload of a repository that is deleted is deleted, too."""
    registry = registries(ecr := LocalECR(data=tmp_path))[0]
    ecr.create_repository("app")
    upload_id = registry.run("InitiateLayerUpload", {"repositoryName": "app"})["uploadId"]
    part = {
        "repositoryName": "app",
        "uploadId": upload_id,
        "partFirstByte": 0,
        "partLastByte": 3,
        "layerPartBlob": b"data",
    }
    registry.run("UploadLayerPart", part)
    registry.run("DeleteRepository", {"repositoryName": "app"})
    assert files(tmp_path) == []


def test_a_region_that_is_not_played_is_left_alone(tmp_path: Path) -> None:
    """What another Region holds in the directory is not served, and is there when the Region is played again."""
    LocalECR(data=tmp_path, region="eu-west-1").seed("app", [(HELD, 7)])
    other = LocalECR(data=tmp_path, region="us-east-1")
    assert registries(other)[0].run("DescribeRepositories", {}) == {"repositories": []}
    assert (
        len(
            registries(LocalECR(data=tmp_path, region="eu-west-1"))[0].run(
                "DescribeRepositories", {}
            )["repositories"]
        )
        == 1
    )


def damaged(record: dict[str, Any], where: str, value: Any) -> bytes:
    """Return a record with the member at a dotted path replaced; by `...`, taken out."""
    *path, last = where.split(".")
    part: Any = record
    for name in path:
        part = part[int(name) if isinstance(part, list) else name]
    at: Any = int(last) if isinstance(part, list) else last
    if value is ...:
        del part[at]
    else:
        part[at] = value
    return json.dumps(record).encode()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"format": 2}', b"\xff"],
    ids=["empty", "cut", "list", "null", "later", "bytes"],
)
def test_a_record_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    """A file that is no repository stops the start with its name: nothing is passed over in silence."""
    LocalECR(data=tmp_path).create_repository("app")
    record = next(tmp_path.rglob("*.json"))
    record.write_bytes(content)
    with pytest.raises(ValueError, match=record.name):
        LocalECR(data=tmp_path)


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        ("description.repositoryName", ..., "description.repositoryName: Field required"),
        ("description.registryId", ..., "description.registryId: Field required"),
        ("description.repositoryUri", ..., "description.repositoryUri: Field required"),
        ("description.imageTagMutability", ..., "description.imageTagMutability: Field required"),
        (
            "description.imageTagMutability",
            "SOMETIMES",
            "description.imageTagMutability: Input should be 'MUTABLE'",
        ),
        ("description.unheard", 1, "description.unheard: Extra inputs are not permitted"),
        (
            "description.createdAt",
            "yesterday",
            "description.createdAt: Input should be a valid number",
        ),
        ("description.repositoryName", "../../app", "'../../app' is no ECR repository name"),
        ("description.repositoryName", "other", "holds the repository 'other', whose file is"),
        ("layers.0.digest", "../../x", "'../../x' is no digest in lower case"),
        ("layers.0.digest", "sha256:AA", "'sha256:AA' is no digest in lower case"),
        ("layers.0.size", -1, "has -1 bytes"),
        ("images.0.digest", ..., "images.0.digest: Field required"),
        ("images.0.children", [DIGEST_OF_IMAGE], "nodes are in a cycle"),
        ("tags.1", "sha256:00", "the tag '1' is of no image that it holds"),
        ("tags", {"1": None}, "tags.1: Input should be a valid string"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_record_that_makes_no_sense_is_named(
    where: str, value: Any, says: str, tmp_path: Path
) -> None:
    """A record of JSON that is well formed, with a part missing, of another kind or against another part, is one error that names it."""
    assert LocalECR(data=tmp_path).seed_image("app", [b"one"], "1.0") == DIGEST_OF_IMAGE
    record = next(tmp_path.rglob("*.json"))
    record.write_bytes(damaged(json.loads(record.read_bytes()), where, value))
    with pytest.raises(ValueError, match=f"{record.name} .*{re.escape(says)}"):
        LocalECR(data=tmp_path)


def places(value: Any, *path: str) -> list[str]:
    """Return the dotted path of every member of a JSON value, at any depth."""
    rows: Any = getattr(value, "items", lambda: enumerate(value))()
    members: dict[str, Any] = {str(name): each for name, each in rows}
    inner = {name: each for name, each in members.items() if "." not in name}
    found = [".".join((*path, name)) for name in inner]
    return found + [
        place
        for name, each in inner.items()
        if isinstance(each, (dict, list))
        for place in places(each, *path, name)
    ]


def whole() -> dict[str, Any]:
    """Return a record with something of everything."""
    with tempfile.TemporaryDirectory() as data:
        ecr = LocalECR(data=data)
        image = ecr.seed_image("app", [b"one", b"two"], "latest")
        ecr.put_image(
            "app",
            {
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [{"digest": image}],
            },
            "index",
        )
        ecr.archive("app", ecr.seed_image("app", [b"three"]))
        return dict(json.loads(next(Path(data).rglob("*.json")).read_bytes()))


WHOLE = whole()
READING: dict[str, dict[str, Any]] = {
    "DescribeRepositories": {},
    "ListImages": {"repositoryName": "app", "filter": {"imageStatus": "ANY"}},
    "DescribeImages": {"repositoryName": "app", "filter": {"imageStatus": "ANY"}},
    "BatchDeleteImage": {
        "repositoryName": "app",
        "imageIds": [{"imageTag": "latest"}, {"imageTag": "index"}],
    },
}


@given(
    where=st.sampled_from(places(WHOLE)),
    value=st.sampled_from(
        [..., None, True, -1, "", "x", "sha256:00", [], [[]], {}, {"a": 1}, ["x"]]
    ),
)
@settings(max_examples=100, derandomize=True, database=None, deadline=None)
def test_a_damaged_record_is_named_or_served(where: str, value: Any) -> None:
    """Whatever is changed in a record, the start is refused with its name, in one line, or every operation is answered."""
    with tempfile.TemporaryDirectory() as data:
        LocalECR(data=data).create_repository("app")
        record = next(Path(data).rglob("*.json"))
        record.write_bytes(damaged(json.loads(json.dumps(WHOLE)), where, value))
        try:
            ecr = LocalECR(data=data)
        except ValueError as error:
            assert (record.name in str(error), "\n" in str(error)) == (True, False)
            return
        registry = registries(ecr)[0]
        for operation, request in READING.items():
            with contextlib.suppress(AwsError):
                registry.run(operation, request)


# -- one at a time
# ---------------------------------------------------------------------------------------------------------


def in_use(*, by: str) -> str:
    """Return the pattern of what is said where another has the directory."""
    return re.escape(f"is in use by another local ECR {by}: close that first")


def test_a_directory_is_one_local_ecrs(tmp_path: Path) -> None:
    """While one has it, a second is refused, and touches nothing of the first's.

    Once the first is closed or gone, it may.
    """
    first = LocalECR(data=tmp_path)
    first.create_repository("app")
    upload_id = registries(first)[0].run("InitiateLayerUpload", {"repositoryName": "app"})[
        "uploadId"
    ]
    part = {
        "repositoryName": "app",
        "uploadId": upload_id,
        "partFirstByte": 0,
        "partLastByte": 3,
        "layerPartBlob": b"data",
    }
    registries(first)[0].run("UploadLayerPart", part)
    with pytest.raises(OSError, match=in_use(by="of this process")):
        LocalECR(data=tmp_path)
    registries(first)[0].run("CompleteLayerUpload", {**part, "layerDigests": [digest_of(b"data")]})
    del first
    second = LocalECR(data=tmp_path)
    assert list(registries(second)[0].repository("app").layers) == [digest_of(b"data")]


@pytest.mark.asyncio
async def test_who_closes_it_lets_go(tmp_path: Path) -> None:
    """A closed one leaves the directory.

    It takes it again, with what others put there, when it is opened or something is put into it.
    """
    async with LocalECR(data=tmp_path, in_memory=True) as first:
        first.put_layer("app", b"one")
    async with LocalECR(data=tmp_path, in_memory=True) as second:
        second.put_layer("app", b"two")
        with pytest.raises(OSError, match=in_use(by="of this process")):
            first.seed_image("app", [b"three"])
        with pytest.raises(OSError, match=in_use(by="of this process")):
            await first.open()
        assert not held(registries(second)[0], b"three")
    first.put_layer("app", b"three")
    assert len(registries(first)[0].repository("app").layers) == 3
    with pytest.raises(OSError, match=in_use(by="of this process")):
        second.put_layer("app", b"four")
    await first.aclose()
    second.put_layer("app", b"four")
    assert len(registries(second)[0].repository("app").layers) == 4


def test_one_region_in_use_keeps_no_other_in_use(tmp_path: Path) -> None:
    """Regions are taken one by one: one that is refused leaves those before it free, and others may be played at the same time."""
    first = LocalECR(data=tmp_path, region="eu-west-1")
    with pytest.raises(OSError, match="eu-west-1' is in use"):
        LocalECR(data=tmp_path, region="us-east-1", regions=["eu-west-1"])
    assert (LocalECR(data=tmp_path, region="us-east-1").region, first.region) == (
        "us-east-1",
        "eu-west-1",
    )


FORKED = """
import os, sys
from pathlib import Path
from ecr_layer_client.local._registry.directory_lock import DirectoryLock
lock = DirectoryLock(Path(sys.argv[1]))
lock.take()
waits, goes_on = os.pipe()
child = os.fork()
if child == 0:
    try:
        lock.take()
    except OSError:
        os.read(waits, 1)
        os._exit(0)
    os._exit(1)
lock.release()
taken = DirectoryLock(Path(sys.argv[1])).take()
os.write(goes_on, b".")
print(taken, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_no_lock(tmp_path: Path) -> None:
    """A child forked while the lock is held is refused it, and does not keep it when its parent lets go."""
    ran = subprocess.run(
        [sys.executable, "-c", FORKED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "True 0\n"


HOLDER = """
import sys, time
from ecr_layer_client.local import LocalECR
ecr = LocalECR(data=sys.argv[1])
print("has it", flush=True)
time.sleep(600)
"""


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    """Another process that has the directory is named; once it is killed, the directory is free."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(OSError, match=in_use(by=f"(process {holder.pid})")):
            LocalECR(data=tmp_path)
        holder.kill()
        holder.wait()
    assert LocalECR(data=tmp_path).region == "us-east-1"


@pytest.mark.parametrize("place", ["file", "file/below", "no\0path"])
def test_a_place_that_cannot_be_written_is_refused(place: str, tmp_path: Path) -> None:
    """Where no directory can be made, nothing starts, and the error says where and why."""
    (tmp_path / "file").touch()
    with pytest.raises(
        (OSError, ValueError),
        match=r"can't be used: Not a directory|data must be the path of a directory",
    ):
        LocalECR(data=tmp_path / place)


# -- a disk that is full
# ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of processes there")
def test_where_nothing_can_be_written_nothing_starts(tmp_path: Path) -> None:
    """A place on a full disk is refused at the start, and left free for when there is room."""
    with no_file_above(0), pytest.raises(OSError, match="can't be used: File too large"):
        LocalECR(data=tmp_path)
    assert LocalECR(data=tmp_path).region == "us-east-1"


def change(ecr: LocalECR, operation: str) -> None:
    """Do one thing that is to be saved."""
    registry = registries(ecr)[0]
    requests: dict[str, dict[str, Any]] = {
        "CreateRepository": {"repositoryName": "new"},
        "BatchDeleteImage": {"repositoryName": "app", "imageIds": [{"imageTag": "1.0"}]},
        "PutImage": {"repositoryName": "app", "imageManifest": MANIFEST, "imageTag": "1.0"},
    }
    if operation == "archive":
        ecr.archive("app", DIGEST_OF_IMAGE)
    elif operation == "seed":
        ecr.seed("app", [(digest_of(b"two"), 3)])
    else:
        registry.run(operation, requests[operation])


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of processes there")
@pytest.mark.parametrize(
    "operation", ["CreateRepository", "BatchDeleteImage", "PutImage", "archive", "seed"]
)
def test_what_cannot_be_saved_is_not_done(operation: str, tmp_path: Path) -> None:
    """A change that can't be written is an error and no change, neither now nor after a restart.

    Once there is room, it is done.
    """
    ecr = LocalECR(data=tmp_path)
    assert ecr.seed_image("app", [b"one"], "1.0") == DIGEST_OF_IMAGE
    before = answers(ecr)
    with no_file_above(len(MANIFEST)), pytest.raises(OSError, match="File too large"):
        change(ecr, operation)
    assert answers(ecr) == before
    del ecr
    ecr = LocalECR(data=tmp_path)
    assert answers(ecr) == before
    change(ecr, operation)
    assert answers(ecr) != before


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of processes there")
def test_an_upload_that_could_not_be_saved_completes_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """CompleteLayerUpload on a full disk is ServerException with the reason, a line in the log, and can be asked again."""

    async def play() -> list[Any]:
        async with LocalECR(data=tmp_path, in_memory=True) as ecr:
            session: Any = ecr.session()
            async with session.create_client(
                "ecr", endpoint_url=ecr.endpoint_url, config=ONCE
            ) as client:
                await client.create_repository(repositoryName="app")
                upload = {
                    "repositoryName": "app",
                    "uploadId": (await client.initiate_layer_upload(repositoryName="app"))[
                        "uploadId"
                    ],
                }
                await client.upload_layer_part(
                    **upload, partFirstByte=0, partLastByte=2, layerPartBlob=b"one"
                )
                with no_file_above(10), pytest.raises(ClientError) as caught:
                    await client.complete_layer_upload(**upload, layerDigests=[digest_of(b"one")])
                told: Any = caught.value
                done = await client.complete_layer_upload(
                    **upload, layerDigests=[digest_of(b"one")]
                )
        return [told.response["Error"], done["layerDigest"]]

    error = {"Code": "ServerException", "Message": "The local ECR can't keep it: File too large"}
    assert asyncio.run(play()) == [error, digest_of(b"one")]
    assert [
        record.exc_info
        for record in caplog.records
        if "can't keep what CompleteLayerUpload brings" in record.getMessage()
    ] == [None]
    assert held(registries(LocalECR(data=tmp_path))[0], b"one")


def test_a_manifest_that_was_taken_away_is_an_error(tmp_path: Path) -> None:
    """When a manifest's file is gone from under the registry, BatchGetImage is ServerException and not an image without a manifest."""
    ecr = LocalECR(data=tmp_path)
    digest = ecr.seed_image("app", [b"one"])
    for path in tmp_path.rglob(digest[7:]):
        path.unlink()
    with pytest.raises(AwsError, match="ServerException: The bytes of the manifest"):
        registries(ecr)[0].run(
            "BatchGetImage", {"repositoryName": "app", "imageIds": [{"imageDigest": digest}]}
        )


def test_a_record_half_written_is_not_read(tmp_path: Path) -> None:
    """What a killed process left beside a record is not taken for one."""
    LocalECR(data=tmp_path).create_repository("app")
    record = next(tmp_path.rglob("*.json"))
    record.with_suffix(".new").write_bytes(b"{")
    assert (
        len(registries(LocalECR(data=tmp_path))[0].run("DescribeRepositories", {})["repositories"])
        == 1
    )


@given(name=st.from_regex(NAME, fullmatch=True).filter(lambda name: 2 <= len(name) <= 256))
@example(name="a" * 256).via("the longest")
@example(name="/".join(["a"] * 128)).via("the deepest")
@settings(max_examples=8, derandomize=True, database=None, deadline=None)
def test_no_name_becomes_a_path(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever name ECR takes, all that is written are files of hexadecimal names, in the directory."""
    data = tmp_path_factory.mktemp("data")
    LocalECR(data=data).seed_image(name, [b"one"])
    written = files(data)
    assert {path.suffix for path in written} == {"", ".json"}
    assert all(len(path.stem) == 64 and int(path.stem, 16) >= 0 for path in written)
    assert (
        len(
            registries(LocalECR(data=data))[0].run(
                "DescribeRepositories", {"repositoryNames": [name]}
            )["repositories"]
        )
        == 1
    )


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:../../../secret",
        "../secret:00",
        "sha256:00/../../secret",
        "sha256:" + "0" * 63 + "/",
    ],
)
def test_no_digest_becomes_a_path(digest: str, tmp_path: Path) -> None:
    """A hostile digest finds nothing, stores nothing and reads nothing outside the directory."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    registry = registries(ecr := LocalECR(data=tmp_path / "data"))[0]
    ecr.seed_image("app", [b"one"])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(AwsError, match="LayersNotFoundException"):
        registry.run("GetDownloadUrlForLayer", {"repositoryName": "app", "layerDigest": digest})
    images = registry.run(
        "BatchGetImage", {"repositoryName": "app", "imageIds": [{"imageDigest": digest}]}
    )
    assert (images["images"], registry.store.get(digest), sorted(tmp_path.rglob("*"))) == (
        [],
        None,
        before,
    )


@pytest.mark.asyncio
async def test_uploads_and_downloads_go_through_the_directory(tmp_path: Path) -> None:
    """What one server took in parts the next one serves."""
    data = os.urandom(300_000)
    async with LocalECR(data=tmp_path, in_memory=True) as ecr:
        session: Any = ecr.session()
        async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as client:
            await client.create_repository(repositoryName="app")
            upload_id = (await client.initiate_layer_upload(repositoryName="app"))["uploadId"]
            part = {"partFirstByte": 0, "partLastByte": len(data) - 1, "layerPartBlob": data}
            await client.upload_layer_part(repositoryName="app", uploadId=upload_id, **part)
            await client.complete_layer_upload(
                repositoryName="app", uploadId=upload_id, layerDigests=[digest_of(data)]
            )
    assert held(registries(LocalECR(data=tmp_path))[0], data)


WRITER = """
import os, sys
from ecr_layer_client.local import LocalECR
ecr = LocalECR(data=sys.argv[1])
number = 0
while True:
    ecr.seed_image("app", [os.urandom(200_000), number.to_bytes(4, "big")], f"v{number}")
    print(number, flush=True)
    number += 1
"""


@pytest.mark.full
@pytest.mark.parametrize("lines", range(1, 16))
def test_a_kill_loses_nothing_that_was_answered(lines: int, tmp_path: Path) -> None:
    """A process killed while it puts images leaves a directory in which all that it had put is whole."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    process.kill()
    put = lines + len(process.communicate()[0].splitlines())
    registry = registries(LocalECR(data=tmp_path))[0]
    ids = [{"imageTag": f"v{number}"} for number in range(put)]
    assert (
        registry.run("BatchGetImage", {"repositoryName": "app", "imageIds": ids})["failures"] == []
    )
    for digest in registry.repository("app").layers:
        blob = registry.store.get(digest)
        assert blob is not None
        assert digest_of(blob[:]) == digest
