"""The local ECR at `/v2/`: logging in, blobs and uploads."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from ecr_layer_client import Repository
from ecr_layer_client.local import LocalECR
from images.making import CONFIG, IMAGE, sha256
from local.docker_client import MIB, Docker, basic, docker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BLOB = b"the bytes of a layer"
DIGEST = sha256(BLOB)
OTHER_ACCOUNT = "210987654321"

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def client(ecr: LocalECR) -> AsyncIterator[Docker]:
    """Provide a client that is logged in, and an empty repository `app`."""
    ecr.create_repository("app")
    async with docker(ecr) as logged_in:
        yield logged_in


async def started(client: Docker) -> str:
    """Start an upload and return its URL."""
    answer = await client.send("POST", "/v2/app/blobs/uploads/")
    return answer.headers["location"]


async def api(ecr: LocalECR, operation: str, **members: Any) -> Any:
    """Send a request to ECR's JSON API."""
    session: Any = ecr.session()
    async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as theirs:
        return await getattr(theirs, operation)(**members)


# -- logging in


async def test_a_ping_with_a_password_is_answered(client: Docker) -> None:
    """A client that is logged in gets 200 and the version of the API."""
    answer = await client.send("GET", "/v2/")
    assert (answer.status, answer.headers["docker-distribution-api-version"]) == (
        200,
        "registry/2.0",
    )


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer abc", "Basic", "Basic !!!", basic("wrong"), basic("", "AWS"), "Basic /w=="],
    ids=["none", "bearer", "no-value", "no-base64", "wrong", "empty", "no-utf-8"],
)
async def test_a_request_without_a_password_is_challenged(
    client: Docker, authorization: str
) -> None:
    """A request without a valid password gets ECR's challenge, with the host that it used."""
    answer = await client.send("GET", "/v2/", Authorization=authorization)
    host = client.ecr.endpoint_url.removeprefix("http://")
    assert (answer.status, answer.body, answer.headers["www-authenticate"]) == (
        401,
        b"Not Authorized\n",
        f'Basic realm="http://{host}/",service="ecr.amazonaws.com"',
    )


async def test_another_user_than_aws_is_challenged(client: Docker) -> None:
    """A valid password of another user than `AWS` is not accepted."""
    authorization = basic(client.ecr.login_password(), "root")
    assert (await client.send("GET", "/v2/", Authorization=authorization)).status == 401


async def test_the_password_of_get_authorization_token_is_accepted(client: Docker) -> None:
    """The token of GetAuthorizationToken is the value of a Basic header."""
    answer = await api(client.ecr, "get_authorization_token")
    token = answer["authorizationData"][0]["authorizationToken"]
    assert base64.b64decode(token).startswith(b"AWS:")
    assert (await client.send("GET", "/v2/", Authorization=f"Basic {token}")).status == 200


async def test_a_password_expires_after_twelve_hours(client: Docker) -> None:
    """After 12 hours on the registry's clock, a password gets ECR's words."""
    client.ecr.clock_skew = 12 * 3600 - 60
    before = (await client.send("GET", "/v2/")).status
    client.ecr.clock_skew = 12 * 3600
    assert before == 200
    assert (await client.send("GET", "/v2/")).error == (
        403,
        "DENIED",
        "Your authorization token has expired. Reauthenticate and try again.",
    )


async def test_the_password_of_another_account_is_denied(client: Docker) -> None:
    """The token of another account's registry is not one for the default registry."""
    answer = await api(client.ecr, "get_authorization_token", registryIds=[OTHER_ACCOUNT])
    token = answer["authorizationData"][0]["authorizationToken"]
    denied = await client.send("GET", "/v2/app/tags/list", Authorization=f"Basic {token}")
    assert denied.error[:2] == (403, "DENIED")


async def test_without_auth_no_password_is_needed() -> None:
    """With auth=False, a request without a password is served."""
    async with LocalECR(auth=False) as ecr, docker(ecr) as client:
        assert (await client.send("GET", "/v2/", Authorization="")).status == 200


@pytest.mark.parametrize(
    ("host", "registry_id", "region"),
    [
        ("210987654321.dkr.ecr.us-east-1.amazonaws.com", OTHER_ACCOUNT, "us-east-1"),
        ("210987654321.dkr.ecr.eu-west-1.amazonaws.com:443", OTHER_ACCOUNT, "eu-west-1"),
        ("123456789012.dkr.ecr.ap-south-1.amazonaws.com", "123456789012", "us-east-1"),
        ("registry.example.com", "123456789012", "us-east-1"),
    ],
    ids=["account", "region", "another-region", "another-host"],
)
async def test_the_host_selects_the_registry(host: str, registry_id: str, region: str) -> None:
    """A host of AWS names the registry, and any other host means the default one."""
    async with LocalECR(auth=False, regions=["eu-west-1"]) as ecr, docker(ecr) as client:
        for each in ("us-east-1", "eu-west-1"):
            for account in ("123456789012", OTHER_ACCOUNT):
                ecr.put_layer(
                    Repository(name=f"in-{account}-{each}", registry_id=account, region=each), BLOB
                )
        answer = await client.send("GET", "/v2/_catalog", Host=host)
    assert answer.json == {"repositories": [f"in-{registry_id}-{region}"]}


async def test_health_needs_no_password(client: Docker) -> None:
    """`/healthz` is answered without a password, in spite of faults, and is not counted."""
    client.ecr.faults.add(error="ServerException")
    answer = await client.send("GET", "/healthz", Authorization="")
    assert (answer.status, answer.body, client.ecr.stats.requests) == (200, b"ok\n", 0)


# -- uploads


async def test_an_upload_with_post_and_put(client: Docker) -> None:
    """A blob that was uploaded with POST and PUT is available for the JSON API."""
    answer = await client.upload(BLOB, DIGEST)
    async with client.ecr.client() as ours:
        result = await ours.check_layers("app", [DIGEST])
    assert (answer.status, answer.headers["docker-content-digest"]) == (201, DIGEST)
    assert answer.headers["location"] == f"{client.ecr.endpoint_url}/v2/app/blobs/{DIGEST}"
    assert [(layer.digest, layer.size) for layer in result.layers] == [(DIGEST, len(BLOB))]


async def test_an_upload_in_one_request(client: Docker) -> None:
    """A POST with a digest takes the blob at once."""
    answer = await client.send("POST", f"/v2/app/blobs/uploads/?digest={DIGEST}", BLOB)
    assert (answer.status, answer.headers["docker-content-digest"]) == (201, DIGEST)


async def test_an_upload_starts_with_202(client: Docker) -> None:
    """A POST answers where to send the bytes, at the host that the client used."""
    answer = await client.send("POST", "/v2/app/blobs/uploads/", Host="registry:5000")
    upload_id = answer.headers["docker-upload-uuid"]
    assert (answer.status, answer.headers["location"], answer.headers["range"]) == (
        202,
        f"http://registry:5000/v2/app/blobs/uploads/{upload_id}",
        "0-0",
    )


async def test_an_upload_in_chunks(client: Docker) -> None:
    """A chunk gets ECR's 201, and a `Range` that stays at the first chunk. All bytes are kept."""
    chunks, url = [bytes([number]) * 5 * MIB for number in range(3)], await started(client)
    answers = [
        await client.send(
            "PATCH", url, chunk, Content_Range=f"{at * 5 * MIB}-{(at + 1) * 5 * MIB - 1}"
        )
        for at, chunk in enumerate(chunks)
    ]
    digest = sha256(b"".join(chunks))
    status = (await client.send("PUT", f"{url}?digest={digest}")).status
    head = await client.send("HEAD", f"/v2/app/blobs/{digest}")

    assert [(each.status, each.headers["range"]) for each in answers] == [
        (201, f"0-{5 * MIB - 1}")
    ] * 3
    assert (status, head.headers["content-length"]) == (201, str(15 * MIB))


async def test_the_last_chunk_may_come_with_the_put(client: Docker) -> None:
    """The body of the PUT follows what the chunks brought."""
    url, first = await started(client), bytes(5 * MIB)
    await client.send("PATCH", url, first)
    answer = await client.send("PUT", f"{url}?digest={sha256(first + BLOB)}", BLOB)
    assert answer.status == 201


async def test_a_chunk_of_unknown_length_is_taken(client: Docker) -> None:
    """A body in chunks of HTTP, without a length, is taken as docker sends it."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(BLOB), 7):
            yield BLOB[start : start + 7]

    url = await started(client)
    await client.send("PATCH", url, pieces())
    assert (await client.send("PUT", f"{url}?digest={DIGEST}")).status == 201


async def test_an_upload_reports_what_arrived(client: Docker) -> None:
    """A GET of an upload answers how many bytes arrived."""
    url = await started(client)
    await client.send("PATCH", url, bytes(5 * MIB))
    await client.send("PATCH", url, BLOB)
    answer = await client.send("GET", url)
    assert (answer.status, answer.headers["range"]) == (204, f"0-{5 * MIB + len(BLOB) - 1}")


async def test_a_blob_that_exists_is_accepted_again(client: Docker) -> None:
    """A second upload of a blob is a success."""
    await client.upload(BLOB, DIGEST)
    assert (await client.upload(BLOB, DIGEST)).status == 201


@pytest.mark.parametrize(
    ("content_range", "message"),
    [
        ("7-26", "First byte of the layer part is 7 instead of 0"),
        ("bytes 7-26/100", "First byte of the layer part is 7 instead of 0"),
        ("9-3", "'9-3' is not a valid Content-Range"),
        ("everything", "'everything' is not a valid Content-Range"),
        ("9" * 30 + "-" + "9" * 30, "is not a valid Content-Range"),
    ],
    ids=["gap", "unit", "backwards", "word", "beyond"],
)
async def test_a_chunk_out_of_order_is_refused(
    client: Docker, content_range: str, message: str
) -> None:
    """A chunk that does not follow the last one gets 416, and nothing of it is stored."""
    url = await started(client)
    answer = await client.send("PATCH", url, BLOB, Content_Range=content_range)
    assert answer.error[:2] == (416, "BLOB_UPLOAD_INVALID")
    assert message in answer.error[2]
    assert (await client.send("GET", url)).headers["range"] == "0-0"


@pytest.mark.parametrize("said", ["0-3", "0-99"], ids=["larger", "smaller"])
async def test_a_chunk_of_another_size_than_said_is_refused(client: Docker, said: str) -> None:
    """A body that is larger or smaller than its Content-Range says is refused as a whole."""
    url = await started(client)
    answer = await client.send("PATCH", url, BLOB, Content_Range=said)
    assert answer.error[:2] == (416, "BLOB_UPLOAD_INVALID")
    assert (await client.send("GET", url)).headers["range"] == "0-0"


async def test_a_wrong_digest_is_refused(client: Docker) -> None:
    """Bytes with another digest get 400, and the repository has no such blob."""
    wrong = sha256(b"other bytes")
    answer = await client.upload(BLOB, wrong)
    assert answer.error[:2] == (400, "BLOB_UPLOAD_INVALID")
    assert (await client.send("HEAD", f"/v2/app/blobs/{wrong}")).status == 404


@pytest.mark.parametrize(
    ("chunks", "code"),
    [([], "BLOB_UPLOAD_INVALID"), ([BLOB, BLOB], "BLOB_UPLOAD_INVALID")],
    ids=["empty", "small-parts"],
)
async def test_what_ecr_refuses_at_the_end(client: Docker, chunks: list[bytes], code: str) -> None:
    """An empty blob, and a small chunk before the last one, are refused by the PUT."""
    url = await started(client)
    for chunk in chunks:
        await client.send("PATCH", url, chunk)
    answer = await client.send("PUT", f"{url}?digest={sha256(b''.join(chunks))}")
    assert answer.error[:2] == (400, code)


@pytest.mark.parametrize("digest", ["", "sha256:00", "../../etc/passwd", "md5:" + "0" * 32])
async def test_a_malformed_digest_is_refused(client: Docker, digest: str) -> None:
    """A digest that is not one gets 400."""
    url = await started(client)
    answer = await client.send("PUT", f"{url}?digest={digest}", BLOB)
    assert answer.error[:2] == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT"])
async def test_an_unknown_upload_is_refused(client: Docker, method: str) -> None:
    """An upload that nobody started, or that expired, gets 404."""
    url = await started(client)
    client.ecr.expire_uploads()
    answer = await client.send(method, f"{url}?digest={DIGEST}", BLOB)
    assert (answer.status, b"BLOB_UPLOAD_UNKNOWN" in answer.body) == (404, True)


async def test_an_unknown_repository_is_refused(client: Docker) -> None:
    """An upload to a repository that does not exist gets 404 and ECR's words."""
    assert (await client.send("POST", "/v2/none/blobs/uploads/")).error == (
        404,
        "NAME_UNKNOWN",
        "The repository with name 'none' does not exist in the registry with id '123456789012'",
    )


# -- blobs


async def pushed(client: Docker) -> None:
    """Push an image whose only layer is `BLOB`."""
    client.ecr.put_layer("app", BLOB, "application/vnd.oci.image.layer.v1.tar")
    client.ecr.put_layer("app", b"{}")
    config = {"mediaType": CONFIG, "digest": sha256(b"{}"), "size": 2}
    client.ecr.put_image(
        "app",
        {"mediaType": IMAGE, "config": config, "layers": [{"digest": DIGEST}]},
        "1.0",
    )


async def test_a_blob_is_downloaded(client: Docker) -> None:
    """A GET of a blob returns its bytes, its digest and its media type."""
    await pushed(client)
    answer = await client.send("GET", f"/v2/app/blobs/{DIGEST}")
    assert (answer.status, answer.body) == (200, BLOB)
    assert answer.headers["docker-content-digest"] == DIGEST
    assert answer.headers["content-type"] == "application/vnd.oci.image.layer.v1.tar"


@pytest.mark.parametrize(
    ("asked", "status", "content_range"),
    [
        ("bytes=4-8", 206, "bytes 4-8/20"),
        ("bytes=15-", 206, "bytes 15-19/20"),
        ("bytes=-3", 206, "bytes 17-19/20"),
        ("bytes=0-999", 206, "bytes 0-19/20"),
        ("lines=1-2", 200, None),
    ],
)
async def test_a_range_of_a_blob(
    client: Docker, asked: str, status: int, content_range: str | None
) -> None:
    """A GET with a Range returns these bytes, and one that is not understood the complete blob."""
    await pushed(client)
    answer = await client.send("GET", f"/v2/app/blobs/{DIGEST}", Range=asked)
    first, last = map(int, (content_range or "x 0-19/").split()[1].split("/")[0].split("-"))
    assert (answer.status, answer.headers.get("content-range")) == (status, content_range)
    assert answer.body == BLOB[first : last + 1]


async def test_a_range_beyond_the_end_is_refused(client: Docker) -> None:
    """A Range that begins after the last byte gets 416."""
    await pushed(client)
    answer = await client.send("GET", f"/v2/app/blobs/{DIGEST}", Range="bytes=20-")
    assert answer.status == 416


async def test_a_head_has_the_length_and_no_body(client: Docker) -> None:
    """A HEAD of a blob returns its length, also of one that was seeded without bytes."""
    seeded = "sha256:" + "a" * 64
    client.ecr.seed("app", [(seeded, 32_000_000)])
    answer = await client.send("HEAD", f"/v2/app/blobs/{seeded}")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "32000000", b"")


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_an_absent_blob(client: Docker, method: str) -> None:
    """A blob that the repository does not have gets 404."""
    assert (await client.send(method, f"/v2/app/blobs/{DIGEST}")).status == 404


async def test_a_blob_of_another_repository_is_absent(client: Docker) -> None:
    """The blobs of one repository are not those of another one."""
    await pushed(client)
    client.ecr.create_repository("other")
    assert (await client.send("HEAD", f"/v2/other/blobs/{DIGEST}")).status == 404


async def test_a_blob_without_an_image_is_downloaded(client: Docker) -> None:
    """A blob that no image refers to yet can be downloaded, as the OCI specifies it (assumed)."""
    await client.upload(BLOB, DIGEST)
    assert (await client.send("GET", f"/v2/app/blobs/{DIGEST}")).body == BLOB


async def test_a_blob_without_bytes_is_not_downloaded(client: Docker) -> None:
    """A blob that was seeded without its bytes cannot be downloaded."""
    client.ecr.seed("app", [(DIGEST, 20)])
    answer = await client.send("GET", f"/v2/app/blobs/{DIGEST}")
    assert answer.error[:2] == (404, "BLOB_UNKNOWN")


async def test_an_archived_blob_is_absent(client: Docker) -> None:
    """A blob that only archived images refer to is neither found nor downloaded."""
    await pushed(client)
    client.ecr.archive("app", DIGEST)
    statuses = [
        (await client.send(method, f"/v2/app/blobs/{DIGEST}")).status for method in ("HEAD", "GET")
    ]
    assert statuses == [404, 404]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", f"/v2/app/blobs/{DIGEST}", "GET, HEAD"),
        ("POST", "/v2/", "GET, HEAD"),
        ("PUT", "/v2/_catalog", "GET, HEAD"),
        ("GET", "/v2/app/blobs/uploads/", "POST"),
    ],
    ids=["blob", "ping", "catalog", "uploads"],
)
async def test_a_method_that_a_path_does_not_have(
    client: Docker, method: str, path: str, allowed: str
) -> None:
    """Another method gets 405 UNSUPPORTED, and the methods that there are."""
    answer = await client.send(method, path)
    assert (answer.error[:2], answer.headers["allow"]) == ((405, "UNSUPPORTED"), allowed)


async def test_a_path_that_is_not_served(client: Docker) -> None:
    """A path that nothing serves gets 404 in the form of this API."""
    assert (await client.send("GET", "/v2/app")).error[:2] == (404, "UNSUPPORTED")
