"""The data directory keeps contents, and damaged or hostile files in it are rejected."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from functools import cache, partial
from pathlib import Path
from random import Random
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
    from collections.abc import Callable

    from ecr_layer_client.local._registry.registry import Registry

HELD = "sha256:" + "a" * 64
# ECR model: RepositoryName.
NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
REGIONS = ("us-east-1", "eu-west-1")
ONE = hashlib.sha256(b"one").hexdigest()
DATABASE = "registry.db"
ONCE = AioConfig(retries={"total_max_attempts": 1})
# The digest of an image with the layer b"one".
DIGEST_OF_IMAGE = "sha256:6457e2ab42a9ca799bff38803b2966aee8f6a362a33ec0dc724071d2e2123b5a"
MANIFEST = (
    '{"mediaType": "application/vnd.oci.image.manifest.v1+json", '
    f'"config": {{"digest": "sha256:{ONE}"}}, "layers": []}}'
)


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def registries(ecr: LocalECR) -> list[Registry]:
    """Return the registries of a local ECR."""
    return list(ecr._service.registries.values())


def files(directory: Path) -> list[Path]:
    """Return all files below a directory, except for locks and the files beside a database."""
    others = ("lock", "-wal", "-shm")
    return [
        path for path in directory.rglob("*") if path.is_file() and not path.name.endswith(others)
    ]


def held(registry: Registry, data: bytes) -> bool:
    """Return whether a registry has these bytes."""
    blob = registry.store.get(digest_of(data))
    return blob is not None and blob[:] == data


def started(ecr: LocalECR) -> dict[str, Any]:
    """Start an upload of b"data" with one part, and return the part."""
    registry = registries(ecr)[0]
    ecr.create_repository("app")
    part = {
        **registry.run("InitiateLayerUpload", {"repositoryName": "app"}),
        "repositoryName": "app",
        "partFirstByte": 0,
        "partLastByte": 3,
        "layerPartBlob": b"data",
    }
    registry.run("UploadLayerPart", part)
    return part


def policy(registry: Registry, repository: dict[str, str], operation: str) -> dict[str, Any]:
    """Return a policy of a repository, or nothing if there is none."""
    try:
        return registry.run(operation, repository)
    except AwsError:
        return {}


def contents(ecr: LocalECR) -> list[Any]:
    """Return everything that the registries report about their contents."""
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
                arn = {"resourceArn": repository["repositoryArn"]}
                found += [
                    repository,
                    images,
                    # This is a pull, whose time DescribeImages returns.
                    registry.run("BatchGetImage", {**of_it, "imageIds": images})
                    if images
                    else None,
                    registry.run("DescribeImages", {**of_it, "filter": {"imageStatus": "ANY"}}),
                    registry.run("ListTagsForResource", arn),
                    [
                        policy(registry, of_it, "GetLifecyclePolicy"),
                        policy(registry, of_it, "GetRepositoryPolicy"),
                    ],
                    registry.run("BatchCheckLayerAvailability", {**of_it, "layerDigests": layers}),
                    [blob and blob[:] for blob in map(registry.store.get, layers)],
                ]

    return found


def test_contents_survive_a_restart(tmp_path: Path) -> None:
    """A restart keeps layers, images, tags and archives of all accounts and Regions."""
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
    run = registries(first)[0].run
    tags = [{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "1"}]
    run("CreateRepository", {"repositoryName": "set", "tags": tags})
    run("PutImageTagMutability", {"repositoryName": "set", "imageTagMutability": "IMMUTABLE"})
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/set"
    run("UntagResource", {"resourceArn": arn, "tagKeys": ["cost"]})
    statement = {"Effect": "Allow", "Principal": "*", "Action": "ecr:*"}
    text = json.dumps({"Statement": statement})
    run("SetRepositoryPolicy", {"repositoryName": "set", "policyText": text})
    run("PutAccountSetting", {"name": "BLOB_MOUNTING", "value": "ENABLED"})
    del run
    before = contents(first)
    del first

    again = LocalECR(data=str(tmp_path), regions=REGIONS)
    assert contents(again) == before
    assert [registry.account_settings["BLOB_MOUNTING"] for registry in registries(again)] == [
        "ENABLED",
        "DISABLED",
    ]
    assert len(before) == 5 * 8


def test_deleted_contents_stay_deleted(tmp_path: Path) -> None:
    """Deleted images, tags and repositories do not return, and unused bytes are deleted."""
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


def test_an_upload_in_progress_does_not_survive(tmp_path: Path) -> None:
    """After a restart an upload is unknown, and its bytes are deleted."""
    part = started(first := LocalECR(data=tmp_path))
    assert len(files(tmp_path)) == 2
    del first
    again = registries(LocalECR(data=tmp_path))[0]
    with pytest.raises(AwsError, match="UploadNotFoundException"):
        again.run("UploadLayerPart", part)

    assert [path.name for path in files(tmp_path)] == [DATABASE]


def test_deleting_a_repository_deletes_its_uploads(tmp_path: Path) -> None:
    """Deleting a repository deletes the bytes of its uploads."""
    started(ecr := LocalECR(data=tmp_path))
    registries(ecr)[0].run("DeleteRepository", {"repositoryName": "app"})

    assert [path.name for path in files(tmp_path)] == [DATABASE]


STORED_AND_KILLED = """
import os, signal, sys
from ecr_layer_client.local import LocalECR
ecr = LocalECR(data=sys.argv[1])
ecr.put_layer("app", b"one")
ecr._registry.store.put(b"not in a transaction yet")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_blob_without_a_transaction_is_deleted(tmp_path: Path) -> None:
    """The file of a blob whose transaction a kill prevented is deleted at the next start.

    Files of others in the same directory are left alone.
    """
    subprocess.run([sys.executable, "-c", STORED_AND_KILLED, str(tmp_path)], check=False)
    blobs = tmp_path / "us-east-1" / "blobs"
    (blobs / "note").touch()
    assert len(list(blobs.iterdir())) == 3
    registry = registries(LocalECR(data=tmp_path))[0]
    assert ({path.name for path in blobs.iterdir()}, held(registry, b"one")) == (
        {ONE, "note"},
        True,
    )


def test_a_region_that_is_not_served_is_left_alone(tmp_path: Path) -> None:
    """Contents of another Region are not served, and are there when the Region is served again."""
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


# -- files that are not a database of this version


def database(data: Path) -> Path:
    """Create a data directory with every kind of contents, and return its database."""
    ecr = LocalECR(data=data)
    image = ecr.seed_image("app", [b"one", b"two"], "latest")
    index = "application/vnd.oci.image.index.v1+json"
    ecr.put_image("app", {"mediaType": index, "manifests": [{"digest": image}]}, "index")
    ecr.archive("app", ecr.seed_image("app", [b"three"]))
    ecr._registry.close()
    return data / "us-east-1" / "registry.db"


def of_a_later_version(path: Path) -> None:
    """Mark the database as one of a later version."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")


def of_another_program(path: Path) -> None:
    """Replace the database by one of another program."""
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (text TEXT)")


def of_another_kind(path: Path) -> None:
    """Replace the database by a text."""
    path.write_text("text " * 1000)


def with_a_bad_description(path: Path) -> None:
    """Take a member from a description."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        members = "json_remove(description, '$.registryId')"
        connection.execute(f"UPDATE repositories SET description = {members}")  # noqa: S608


def with_a_lost_repository(path: Path) -> None:
    """Delete only the row of a repository."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM repositories")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (of_a_later_version, "its format is 3 and this version reads 2"),
        (of_another_program, "another program wrote it"),
        (of_another_kind, "file is not a database"),
        (with_a_bad_description, "registryId: Field required"),
        (with_a_lost_repository, "the table layers names a repository that is not there"),
    ],
)
def test_a_file_of_another_kind_is_named(
    change: Callable[[Path], None], says: str, tmp_path: Path
) -> None:
    """A file that is not a database of this version stops the start, and is left as it is."""
    path = database(tmp_path)
    change(path)
    before = path.read_bytes()
    rule = f"{path} is not the database of a local ECR of this version: {says}. Use another"
    with pytest.raises(ValueError, match=f"^{re.escape(rule)}"):
        LocalECR(data=tmp_path)
    assert path.read_bytes() == before


@cache
def intact() -> bytes:
    """Return a database with every kind of contents."""
    with tempfile.TemporaryDirectory() as data:
        return database(Path(data)).read_bytes()


READING: dict[str, dict[str, Any]] = {
    "DescribeRepositories": {},
    "ListImages": {"repositoryName": "app", "filter": {"imageStatus": "ANY"}},
    "DescribeImages": {"repositoryName": "app", "filter": {"imageStatus": "ANY"}},
    "BatchDeleteImage": {
        "repositoryName": "app",
        "imageIds": [{"imageTag": "latest"}, {"imageTag": "index"}],
    },
}


@given(seed=st.integers(0, 2**32), count=st.integers(1, 20))
@settings(max_examples=40, derandomize=True, database=None, deadline=None)
def test_a_damaged_database_is_named_or_served(seed: int, count: int) -> None:
    """If any bytes change, the error names the file in one line, or every operation works."""
    with tempfile.TemporaryDirectory() as data:
        path = Path(data, "us-east-1", DATABASE)
        path.parent.mkdir()
        damaged, random = bytearray(intact()), Random(seed)  # noqa: S311  (no secret)
        for _ in range(count):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        path.write_bytes(damaged)

        try:
            registry = registries(LocalECR(data=data))[0]
            for operation, request in READING.items():
                with contextlib.suppress(AwsError):
                    registry.run(operation, request)
        except (ValueError, OSError) as error:
            assert (str(path) in str(error), "\n" in str(error)) == (True, False)


# -- the cost of a change


def written(ecr: LocalECR, put: Callable[[], object]) -> tuple[int, int]:
    """Return how many statements a change takes, and how many bytes they have with their values."""
    statements: list[str] = []
    connection: Any = ecr._registry._database
    connection._connection.set_trace_callback(statements.append)
    put()
    connection._connection.set_trace_callback(None)
    return len(statements), sum(map(len, statements))


def test_a_change_costs_the_same_however_much_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image takes the same statements and bytes after 10,000 layers as after ten."""
    # All times have the same number of digits.
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.5)
    ecr = LocalECR(data=tmp_path)

    def put(number: int) -> tuple[int, int]:
        tag = f"v{number:04}"
        return written(ecr, partial(ecr.seed_image, "app", [b"%04d" % number, b"base"], tag))

    costs = [put(number) for number in range(3)]
    ecr.seed("app", [(f"sha256:{number:064x}", number) for number in range(10_000)])
    costs += [put(number) for number in range(3, 103)]
    assert {costs[2], costs[-1]} == {costs[1]}


# -- one user of a directory at a time


def in_use(*, by: str) -> str:
    """Return the pattern of the error when another local ECR uses the directory."""
    return re.escape(f"is in use by another local ECR {by}: close that first")


def test_one_local_ecr_at_a_time_uses_a_directory(tmp_path: Path) -> None:
    """A second local ECR is rejected, and changes nothing of the first one.

    Once the first one is deleted, the second may use the directory.
    """
    part = started(first := LocalECR(data=tmp_path))
    with pytest.raises(OSError, match=in_use(by="of this process")):
        LocalECR(data=tmp_path)

    registries(first)[0].run("CompleteLayerUpload", {**part, "layerDigests": [digest_of(b"data")]})
    del first
    second = LocalECR(data=tmp_path)

    assert list(registries(second)[0].repository("app").layers) == [digest_of(b"data")]


@pytest.mark.asyncio
async def test_closing_releases_the_directory(tmp_path: Path) -> None:
    """A closed local ECR releases its directory.

    It takes the directory again, with what others put there, when it opens or gets contents.
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


def test_a_region_in_use_does_not_block_the_others(tmp_path: Path) -> None:
    """A rejected Region leaves those before it free, and others can be served at the same time."""
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
taken = DirectoryLock(Path(sys.argv[1])).take() is not None
os.write(goes_on, b".")
print(taken, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_no_lock(tmp_path: Path) -> None:
    """A child forked during the lock cannot take it, and does not keep it after the release."""
    ran = subprocess.run(
        [sys.executable, "-c", FORKED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "True 0\n"


KILLED = """
import os, signal, sys
from ecr_layer_client.local import LocalECR
ecr = LocalECR(data=sys.argv[1])
ecr.put_layer("app", b"one")
if os.fork() == 0:
    sys.exit()
os.wait()
ecr.put_layer("app", b"two")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_takes_no_change_with_it(tmp_path: Path) -> None:
    """A killed process leaves all its changes, also when a forked child ended before."""
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    layers = registries(LocalECR(data=tmp_path))[0].repository("app").layers
    assert set(layers) == {digest_of(b"one"), digest_of(b"two")}


HOLDER = """
import sys, time
from ecr_layer_client.local import LocalECR
ecr = LocalECR(data=sys.argv[1])
print("ready", flush=True)
time.sleep(600)
"""


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    """The error names the process that uses the directory. Killing it frees the directory."""
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
def test_a_place_that_cannot_be_written_is_rejected(place: str, tmp_path: Path) -> None:
    """Where no directory can be created, nothing starts, and the error says where and why."""
    (tmp_path / "file").touch()
    with pytest.raises(
        (OSError, ValueError),
        match=r"can't be used: Not a directory|data must be the path of a directory",
    ):
        LocalECR(data=tmp_path / place)


# -- a full disk


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such process limits")
@pytest.mark.parametrize(("space", "why"), [(0, "File too large"), (100, "disk I/O error")])
def test_nothing_starts_on_a_full_disk(space: int, why: str, tmp_path: Path) -> None:
    """A place on a full disk is rejected at the start, and stays free for later."""
    with no_file_above(space), pytest.raises(OSError, match=f"can't be used: {why}"):
        LocalECR(data=tmp_path)
    assert LocalECR(data=tmp_path).region == "us-east-1"


def change(ecr: LocalECR, operation: str) -> None:
    """Make one change that must be saved."""
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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such process limits")
@pytest.mark.parametrize(
    "operation", ["CreateRepository", "BatchDeleteImage", "PutImage", "archive", "seed"]
)
def test_a_change_that_cannot_be_saved_does_not_happen(operation: str, tmp_path: Path) -> None:
    """A change that cannot be written is an error and no change, also after a restart.

    Once there is space, the change succeeds.
    """
    ecr = LocalECR(data=tmp_path)
    assert ecr.seed_image("app", [b"one"], "1.0") == DIGEST_OF_IMAGE
    before = contents(ecr)
    with no_file_above(len(MANIFEST)), pytest.raises(OSError, match="disk I/O error"):
        change(ecr, operation)
    assert contents(ecr) == before
    del ecr
    ecr = LocalECR(data=tmp_path)
    assert contents(ecr) == before
    change(ecr, operation)

    assert contents(ecr) != before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such process limits")
def test_an_upload_that_could_not_be_saved_completes_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """CompleteLayerUpload on a full disk is ServerException, logged, and succeeds when repeated."""

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

    message = "The local ECR could not save the change: disk I/O error"
    error = {"Code": "ServerException", "Message": message}

    assert asyncio.run(play()) == [error, digest_of(b"one")]
    assert [
        record.exc_info
        for record in caplog.records
        if "could not save the changes of CompleteLayerUpload" in record.getMessage()
    ] == [None]
    assert held(registries(LocalECR(data=tmp_path))[0], b"one")


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        (
            "CreateRepository",
            {
                "repositoryName": "new",
                "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "\ud800"},
            },
        ),
        (
            "PutImage",
            {
                "repositoryName": "app",
                "imageManifest": MANIFEST.replace("}", ', "mediaType": "\\ud800"}', 1),
            },
        ),
    ],
    ids=["repository", "image"],
)
def test_text_that_cannot_be_saved_is_rejected(
    operation: str, members: dict[str, Any], tmp_path: Path
) -> None:
    """A lone surrogate is InvalidParameterException, and nothing changes."""
    ecr = LocalECR(data=tmp_path)
    ecr.put_layer("app", b"one")
    before = contents(ecr)
    with pytest.raises(AwsError, match=r"InvalidParameterException: .* a lone surrogate"):
        registries(ecr)[0].run(operation, members)
    assert contents(ecr) == before


def test_a_deleted_manifest_is_an_error(tmp_path: Path) -> None:
    """If the file of a manifest was deleted, BatchGetImage returns ServerException."""
    ecr = LocalECR(data=tmp_path)
    digest = ecr.seed_image("app", [b"one"])
    for path in tmp_path.rglob(digest[7:]):
        path.unlink()
    with pytest.raises(AwsError, match="ServerException: The bytes of the manifest"):
        registries(ecr)[0].run(
            "BatchGetImage", {"repositoryName": "app", "imageIds": [{"imageDigest": digest}]}
        )


@given(name=st.from_regex(NAME, fullmatch=True).filter(lambda name: 2 <= len(name) <= 256))
@example(name="a" * 256).via("the longest")
@example(name="/".join(["a"] * 128)).via("the deepest")
@settings(max_examples=8, derandomize=True, database=None, deadline=None)
def test_no_name_becomes_a_path(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """For every valid name, all written files are in the directory, with hexadecimal names."""
    data = tmp_path_factory.mktemp("data")
    LocalECR(data=data).seed_image(name, [b"one"])
    written = files(data)

    assert all(path.name == DATABASE or int(path.name, 16) for path in written)
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
    """A hostile digest finds, stores and reads nothing outside the directory."""
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
    """A server serves the parts that an earlier server received."""
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
def test_a_kill_loses_no_confirmed_image(lines: int, tmp_path: Path) -> None:
    """A process killed while it puts images leaves every confirmed image complete."""
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
