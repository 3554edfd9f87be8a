"""The behaviour of the local registry, without a protocol or sockets."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_layer_client.local._registry.blob_store import Store
from ecr_layer_client.local._registry.errors import AwsError
from ecr_layer_client.local._registry.limits import MAX_PARTS, MIN_PART_SIZE, Limits
from ecr_layer_client.local._registry.registry import Registry
from ecr_layer_client.local._registry.state import StoredLayer
from ecr_layer_client.local._registry.uploads import Upload

if TYPE_CHECKING:
    from ecr_layer_client.local._registry.layers import AbsentAs

ACCOUNT = "123456789012"
HELD = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
BIG = b"\0" * MIN_PART_SIZE


def a_registry(absent: AbsentAs = "unavailable") -> Registry:
    """Return a registry with one repository that has one layer."""
    registry = Registry(account=ACCOUNT, region="us-east-1", absent=absent)
    registry.run("CreateRepository", {"repositoryName": "app"})
    registry.repository("app").hold([StoredLayer(HELD, 7, "text/plain")])
    return registry


def check(registry: Registry, *digests: str, **members: Any) -> dict[str, Any]:
    """Check digests in the registry."""
    return registry.run(
        "BatchCheckLayerAvailability",
        {"repositoryName": "app", "layerDigests": list(digests), **members},
    )


def upload(
    registry: Registry, *parts: bytes, digest: str | None = None, repository: str = "app"
) -> dict[str, Any]:
    """Upload a layer from initiate to complete."""
    upload_id = registry.run("InitiateLayerUpload", {"repositoryName": repository})["uploadId"]
    first = 0
    for part in parts:
        send(registry, upload_id, first, part)
        first += len(part)

    digest = digest or digest_of(b"".join(parts))

    return registry.run(
        "CompleteLayerUpload",
        {"repositoryName": repository, "uploadId": upload_id, "layerDigests": [digest]},
    )


def send(
    registry: Registry, upload_id: str, first: int, data: bytes, last: int | None = None
) -> dict[str, Any]:
    """Send one part."""
    last = first + len(data) - 1 if last is None else last
    members = {
        "uploadId": upload_id,
        "partFirstByte": first,
        "partLastByte": last,
        "layerPartBlob": data,
    }
    return registry.run("UploadLayerPart", {"repositoryName": "app", **members})


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_stored_layer_is_available_with_size_and_media_type() -> None:
    """A layer of the repository is AVAILABLE, with its size and media type."""
    expected = {
        "layerDigest": HELD,
        "layerAvailability": "AVAILABLE",
        "layerSize": 7,
        "mediaType": "text/plain",
    }
    assert check(a_registry(), HELD) == {"layers": [expected], "failures": []}


def test_an_absent_layer_is_unavailable_without_a_size() -> None:
    """An absent layer is a row UNAVAILABLE and nothing more, as AWS's own pusher expects."""
    assert check(a_registry(), OTHER) == {
        "layers": [{"layerDigest": OTHER, "layerAvailability": "UNAVAILABLE"}],
        "failures": [],
    }


def test_absent_missing_behaves_as_emulators() -> None:
    """With `absent="missing"`, an absent layer is a failure MissingLayerDigest."""
    answer = check(a_registry("missing"), OTHER)
    assert (answer["layers"], [row["failureCode"] for row in answer["failures"]]) == (
        [],
        ["MissingLayerDigest"],
    )


@pytest.mark.parametrize(
    "digest", ["app", "sha256:", ":00", "sha256:xyz", "sha256:00\n", " sha256:00", "\ud800"]
)
def test_a_malformed_digest_fails_alone(digest: str) -> None:
    """A malformed digest is a failure InvalidLayerDigest of its own.

    The other digests are answered (assumed).
    """
    answer = check(a_registry(), digest, HELD)
    assert [(row["layerDigest"], row["failureCode"]) for row in answer["failures"]] == [
        (digest, "InvalidLayerDigest")
    ]
    assert [row["layerDigest"] for row in answer["layers"]] == [HELD]


def test_an_empty_digest_is_missing() -> None:
    """An empty string is a failure MissingLayerDigest (assumed)."""
    assert [row["failureCode"] for row in check(a_registry(), "")["failures"]] == [
        "MissingLayerDigest"
    ]


def test_registries_store_lower_case() -> None:
    """A digest in upper case is well formed and absent."""
    asked = "sha256:" + "A" * 64
    assert check(a_registry(), asked)["layers"] == [
        {"layerDigest": asked, "layerAvailability": "UNAVAILABLE"}
    ]


def test_an_archived_layer_keeps_its_size() -> None:
    """A layer of an archived image is ARCHIVED and keeps its size."""
    registry = a_registry()
    registry.archive("app", HELD)
    assert [
        (row["layerAvailability"], row["layerSize"]) for row in check(registry, HELD)["layers"]
    ] == [("ARCHIVED", 7)]


def test_another_repositorys_layer_is_unavailable() -> None:
    """A check covers one repository."""
    registry = a_registry()
    registry.run("CreateRepository", {"repositoryName": "other"})
    assert (
        check(registry, HELD, repositoryName="other")["layers"][0]["layerAvailability"]
        == "UNAVAILABLE"
    )


def test_another_registrys_repository_is_another_one() -> None:
    """A registry id that is not the account's names another registry."""
    with pytest.raises(AwsError, match="does not exist in the registry with id '999999999999'"):
        check(a_registry(), HELD, registryId="999999999999")


def test_an_unknown_repository_is_named() -> None:
    """RepositoryNotFoundException has ECR's own message, with the repository and the registry."""
    with pytest.raises(AwsError) as caught:
        check(a_registry(), HELD, repositoryName="nope")
    assert (
        caught.value.message
        == f"The repository with name 'nope' does not exist in the registry with id '{ACCOUNT}'"
    )
    assert (caught.value.code, caught.value.status) == ("RepositoryNotFoundException", 400)


def test_creating_a_repository_twice_is_rejected() -> None:
    """CreateRepository of an existing name is RepositoryAlreadyExistsException."""
    with pytest.raises(
        AwsError,
        match=f"The repository with name 'app' already exists in the registry with id '{ACCOUNT}'",
    ):
        a_registry().run("CreateRepository", {"repositoryName": "app"})


@pytest.mark.parametrize(
    ("region", "arn", "uri"),
    [
        ("us-east-1", "arn:aws:ecr:us-east-1", "dkr.ecr.us-east-1.amazonaws.com/app"),
        ("cn-north-1", "arn:aws-cn:ecr:cn-north-1", "dkr.ecr.cn-north-1.amazonaws.com.cn/app"),
        (
            "us-gov-west-1",
            "arn:aws-us-gov:ecr:us-gov-west-1",
            "dkr.ecr.us-gov-west-1.amazonaws.com/app",
        ),
    ],
)
def test_a_repository_has_its_partitions_arn_and_uri(region: str, arn: str, uri: str) -> None:
    """A repository's ARN and URI are those of its Region's partition."""
    registry = Registry(account=ACCOUNT, region=region)
    repository = registry.run("CreateRepository", {"repositoryName": "app"})["repository"]
    assert (repository["repositoryArn"], repository["repositoryUri"]) == (
        f"{arn}:{ACCOUNT}:repository/app",
        f"{ACCOUNT}.{uri}",
    )


def test_repositories_are_described_page_by_page() -> None:
    """The pages of DescribeRepositories have every repository once."""
    registry = Registry(account=ACCOUNT, region="us-east-1")
    for number in range(5):
        registry.run("CreateRepository", {"repositoryName": f"r{number}"})

    names: list[str] = []
    answer: dict[str, Any] = {"nextToken": None}

    while "nextToken" in answer:
        token = {"nextToken": answer["nextToken"]} if answer["nextToken"] else {}
        answer = registry.run("DescribeRepositories", {"maxResults": 2, **token})
        names += [repository["repositoryName"] for repository in answer["repositories"]]

    assert names == ["r0", "r1", "r2", "r3", "r4"]


def test_repositories_are_described_by_name() -> None:
    """DescribeRepositories with names returns them in the order of the request."""
    registry = a_registry()
    registry.run("CreateRepository", {"repositoryName": "zoo"})
    answer = registry.run("DescribeRepositories", {"repositoryNames": ["zoo", "app"]})
    assert [repository["repositoryName"] for repository in answer["repositories"]] == ["zoo", "app"]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"repositoryNames": ["nope"]}, "RepositoryNotFoundException"),
        ({"repositoryNames": ["app"], "maxResults": 1}, "InvalidParameterException"),
        ({"nextToken": "?"}, "InvalidParameterException"),
        ({"nextToken": "gICA"}, "InvalidParameterException"),
    ],
    ids=["unknown", "names-and-page", "token-not-base64", "token-not-text"],
)
def test_describing_rejects_what_ecr_rejects(members: dict[str, Any], code: str) -> None:
    """DescribeRepositories rejects unknown names, names with paging, and invalid tokens."""
    with pytest.raises(AwsError) as caught:
        a_registry().run("DescribeRepositories", members)
    assert caught.value.code == code


def test_an_uploaded_layer_is_available() -> None:
    """Initiate, parts and complete make a layer AVAILABLE with the size of its parts."""
    registry = a_registry()
    digest = upload(registry, BIG, b"the rest")["layerDigest"]
    row = check(registry, digest)["layers"][0]
    assert (row["layerAvailability"], row["layerSize"]) == ("AVAILABLE", len(BIG) + 8)


def test_a_part_returns_the_last_byte_received() -> None:
    """UploadLayerPart returns the last byte received and the identity of the upload."""
    registry = a_registry()
    upload_id = registry.run("InitiateLayerUpload", {"repositoryName": "app"})["uploadId"]
    expected = {
        "registryId": ACCOUNT,
        "repositoryName": "app",
        "uploadId": upload_id,
        "lastByteReceived": 3,
    }

    assert send(registry, upload_id, 0, b"1234") == expected


@pytest.mark.parametrize(
    ("first", "last", "data"),
    [(5, 7, b"abc"), (0, 3, b"1234"), (4, 9, b"abc"), (4, 3, b"")],
    ids=["gap", "again", "length", "empty"],
)
def test_a_part_out_of_place_says_where_to_resume(first: int, last: int, data: bytes) -> None:
    """A part out of place is InvalidLayerPartException with lastValidByteReceived."""
    registry = a_registry()
    upload_id = registry.run("InitiateLayerUpload", {"repositoryName": "app"})["uploadId"]
    send(registry, upload_id, 0, b"1234")
    with pytest.raises(AwsError) as caught:
        send(registry, upload_id, first, data, last)

    members = {
        "registryId": ACCOUNT,
        "repositoryName": "app",
        "uploadId": upload_id,
        "lastValidByteReceived": 3,
    }

    assert (caught.value.code, caught.value.members) == ("InvalidLayerPartException", members)


def test_a_first_part_out_of_place_has_no_byte_to_resume_after() -> None:
    """Before anything was received, there is no lastValidByteReceived (assumed)."""
    registry = a_registry()
    upload_id = registry.run("InitiateLayerUpload", {"repositoryName": "app"})["uploadId"]
    with pytest.raises(AwsError) as caught:
        send(registry, upload_id, 1, b"x")
    assert "lastValidByteReceived" not in caught.value.members


def test_an_upload_has_a_bounded_number_of_parts() -> None:
    """One part more than ECR's quota is LimitExceededException."""
    parts = Upload("app", ACCOUNT, "id", Store().draft())
    for number in range(MAX_PARTS):
        parts.add(number, number, b"x")
    with pytest.raises(AwsError, match="LimitExceededException"):
        parts.add(MAX_PARTS, MAX_PARTS, b"x")


def test_an_upload_has_a_bounded_size() -> None:
    """One byte more than ECR's largest layer (here: 10 bytes) is LimitExceededException."""
    parts = Upload("app", ACCOUNT, "id", Store().draft(), Limits(layer=10))
    parts.add(0, 9, b"x" * 10)
    with pytest.raises(AwsError, match="LimitExceededException"):
        parts.add(10, 10, b"x")


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 12)), max_size=8))
@settings(max_examples=200, derandomize=True, database=None, deadline=None)
def test_an_upload_accepts_consecutive_parts(parts: list[tuple[int, int]]) -> None:
    """An upload accepts the parts that follow the last byte.

    Each error says where to resume, and the digest is that of the accepted parts.
    """
    draft = Store().draft()
    taken = Upload("app", ACCOUNT, "id", draft)
    expected: list[bytes] = []

    for number, (shift, size) in enumerate(parts):
        first, data = taken.received + shift, bytes([number]) * size
        received = len(b"".join(expected))
        if shift or not size:
            with pytest.raises(AwsError) as caught:
                taken.add(first, first + size - 1, data)
            assert caught.value.members.get("lastValidByteReceived", -1) == received - 1
        else:
            assert taken.add(first, first + size - 1, data) == received + size - 1
            expected.append(data)

    assert (taken.received, draft.digest) == (
        len(b"".join(expected)),
        digest_of(b"".join(expected)),
    )


@pytest.mark.parametrize(
    ("parts", "digest", "code"),
    [
        ((), OTHER, "EmptyUploadException"),
        ((b"small", b"last"), None, "LayerPartTooSmallException"),
        ((b"data",), OTHER, "InvalidLayerException"),
    ],
    ids=["empty", "small-part", "digest"],
)
def test_completing_rejects_what_ecr_rejects(
    parts: tuple[bytes, ...], digest: str | None, code: str
) -> None:
    """An upload without parts, with a small part or with another digest is rejected."""
    with pytest.raises(AwsError) as caught:
        upload(a_registry(), *parts, digest=digest)
    assert caught.value.code == code


def test_a_layer_uploaded_again_already_exists() -> None:
    """Completing an upload of an existing layer is LayerAlreadyExistsException."""
    registry = a_registry()
    upload(registry, b"data")
    with pytest.raises(AwsError, match="LayerAlreadyExistsException"):
        upload(registry, b"data")


def test_an_archived_layer_uploaded_again_is_available() -> None:
    """Pushing a layer again restores an archived one."""
    registry = a_registry()
    digest = upload(registry, b"data")["layerDigest"]
    registry.archive("app", digest)
    upload(registry, b"data")
    assert check(registry, digest)["layers"][0]["layerAvailability"] == "AVAILABLE"


def test_a_digest_in_upper_case_completes_and_is_stored_in_lower_case() -> None:
    """CompleteLayerUpload takes either letter case and stores lower case."""
    registry = a_registry()
    digest = digest_of(b"data")
    assert upload(registry, b"data", digest="sha256:" + digest[7:].upper())["layerDigest"] == digest


def test_an_upload_completes_once() -> None:
    """A second complete is UploadNotFoundException."""
    registry = a_registry()
    upload_id = registry.run("InitiateLayerUpload", {"repositoryName": "app"})["uploadId"]
    send(registry, upload_id, 0, b"data")
    request = {"repositoryName": "app", "uploadId": upload_id, "layerDigests": [digest_of(b"data")]}
    registry.run("CompleteLayerUpload", request)
    with pytest.raises(AwsError, match="UploadNotFoundException"):
        registry.run("CompleteLayerUpload", request)


def test_a_rejected_digest_may_be_corrected() -> None:
    """After InvalidLayerException the upload still exists (assumed)."""
    registry = a_registry()
    upload_id = registry.run("InitiateLayerUpload", {"repositoryName": "app"})["uploadId"]
    send(registry, upload_id, 0, b"data")
    request = {"repositoryName": "app", "uploadId": upload_id}
    with pytest.raises(AwsError, match="InvalidLayerException"):
        registry.run("CompleteLayerUpload", {**request, "layerDigests": [OTHER]})

    assert registry.run("CompleteLayerUpload", {**request, "layerDigests": [digest_of(b"data")]})[
        "layerDigest"
    ] == digest_of(b"data")


def test_an_unknown_operation_lists_what_is_served() -> None:
    """UnknownOperationException lists the operations that are served."""
    served = "BatchCheckLayerAvailability.*UploadLayerPart"
    with pytest.raises(AwsError, match=f"UnknownOperationException.*'StartImageScan'.*{served}"):
        a_registry().run("StartImageScan", {})
