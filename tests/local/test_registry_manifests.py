"""The local ECR at `/v2/`: manifests, lists, referrers, mounts, and what faults and quotas do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from botocore.awsrequest import AWSRequest

from ecr_layer_client.local import LocalECR
from images.making import CONFIG, DOCKER, IMAGE, INDEX, Image, entry, index, packed, sha256
from local.docker_client import MIB, Docker, docker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

APP = Image(b'{"os": "linux"}', (b"the base", b"the code"))
NOT_FOUND = "Requested image not found"
ABSENT = "sha256:" + "0" * 64

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def client(ecr: LocalECR) -> AsyncIterator[Docker]:
    """Provide a client that is logged in, and a repository `app` with the blobs of an image."""
    for blob in APP.blobs:
        ecr.put_layer("app", blob)
    async with docker(ecr) as logged_in:
        yield logged_in


async def tags(client: Docker, query: str = "") -> list[str]:
    """Return the tags of `app`."""
    return list((await client.send("GET", f"/v2/app/tags/list{query}")).json["tags"])


async def all_pages(client: Docker, path: str, name: str) -> list[list[str]]:
    """Follow the links from page to page, and return the pages."""
    pages: list[list[str]] = []
    while path:
        answer = await client.send("GET", path)
        pages.append(answer.json[name])
        path = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    return pages


# -- manifests


async def test_a_manifest_returns_byte_for_byte(client: Docker) -> None:
    """A manifest comes back as it was put, by tag and by digest."""
    put = await client.put("1.0", APP.manifest, IMAGE)
    digest = sha256(APP.manifest)
    got = [await client.send("GET", f"/v2/app/manifests/{each}") for each in ("1.0", digest)]

    assert (put.status, put.headers["docker-content-digest"]) == (201, digest)
    assert put.headers["location"] == f"{client.ecr.endpoint_url}/v2/app/manifests/{digest}"
    assert [each.body for each in got] == [APP.manifest] * 2
    assert {each.headers["content-type"] for each in got} == {IMAGE}
    assert {each.headers["docker-content-digest"] for each in got} == {digest}


async def test_a_head_of_a_manifest(client: Docker) -> None:
    """A HEAD has the headers of a GET, and no body."""
    await client.put("1.0", APP.manifest, IMAGE)
    answer = await client.send("HEAD", "/v2/app/manifests/1.0")
    assert (answer.status, answer.headers["content-length"], answer.body) == (
        200,
        str(len(APP.manifest)),
        b"",
    )


async def test_a_manifest_is_put_by_digest(client: Docker) -> None:
    """A manifest that is put by its digest has no tag."""
    digest = sha256(APP.manifest)
    assert (await client.put(digest, APP.manifest, IMAGE)).status == 201
    assert await tags(client) == []


async def test_a_manifest_of_another_digest_is_refused(client: Docker) -> None:
    """A manifest that is put by the digest of another one is refused."""
    answer = await client.put(ABSENT, APP.manifest, IMAGE)
    assert answer.error[:2] == (400, "DIGEST_INVALID")


async def test_the_content_type_is_the_media_type(client: Docker) -> None:
    """A manifest without a mediaType has that of the Content-Type header."""
    manifest = packed(config=entry(APP.config, CONFIG), layers=[])
    await client.put("1.0", manifest, f"{IMAGE}; charset=utf-8")
    answer = await client.send("GET", "/v2/app/manifests/1.0")
    assert answer.headers["content-type"] == IMAGE


async def test_a_manifest_is_put_again(client: Docker) -> None:
    """A manifest that the repository has under this tag is accepted again."""
    await client.put("1.0", APP.manifest, IMAGE)
    assert (await client.put("1.0", APP.manifest, IMAGE)).status == 201


@pytest.mark.parametrize("reference", ["2.0", ABSENT], ids=["tag", "digest"])
async def test_an_unknown_manifest(client: Docker, reference: str) -> None:
    """A manifest that the repository does not have gets ECR's words."""
    answer = await client.send("GET", f"/v2/app/manifests/{reference}")
    assert answer.error == (404, "MANIFEST_UNKNOWN", NOT_FOUND)


async def test_a_manifest_of_an_unknown_repository(client: Docker) -> None:
    """The error names the repository, as in ECR."""
    answer = await client.send("GET", "/v2/none/manifests/1.0")
    assert answer.error[:2] == (404, "NAME_UNKNOWN")


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (IMAGE, 200),
        (f"{INDEX}, {IMAGE};q=0.5", 200),
        ("*/*", 200),
        ("", 200),
        (f"{DOCKER}.v2+json", 404),
    ],
    ids=["its", "among-others", "any", "none", "another"],
)
async def test_the_accepted_media_types(client: Docker, accept: str, status: int) -> None:
    """A manifest of a type that the client does not accept is not found."""
    await client.put("1.0", APP.manifest, IMAGE)
    assert (await client.send("GET", "/v2/app/manifests/1.0", Accept=accept)).status == status


async def test_an_index_of_images(client: Docker) -> None:
    """An index can be put once its images are there."""
    both = index({"linux/amd64": APP.manifest})
    early = await client.put("all", both, INDEX)
    await client.put(sha256(APP.manifest), APP.manifest, IMAGE)
    assert (early.status, (await client.put("all", both, INDEX)).status) == (404, 201)


async def test_a_manifest_without_its_blobs_is_refused(client: Docker) -> None:
    """The error names the blobs that are missing, in ECR's words."""
    client.ecr.create_repository("empty")
    manifest = packed(mediaType=IMAGE, config=entry(APP.config, CONFIG), layers=[])
    answer = await client.put("1.0", manifest, IMAGE, name="empty")
    assert answer.error == (
        404,
        "BLOB_UPLOAD_UNKNOWN",
        (
            f"Layers with digests '[{sha256(APP.config)}]' required for pushing image into "
            "repository with name 'empty' in the registry with id '123456789012' do not exist"
        ),
    )


@pytest.mark.parametrize(
    ("manifest", "kind"),
    [
        (b"no JSON", IMAGE),
        (b"\xff\xfe", IMAGE),
        (b"", IMAGE),
        (b" " * (4 * MIB + 1), IMAGE),
        (APP.manifest, "text/plain"),
        (APP.manifest, INDEX),
    ],
    ids=["no-json", "no-utf-8", "empty", "above-4-MiB", "no-manifest", "another-type"],
)
async def test_a_malformed_manifest_is_refused(client: Docker, manifest: bytes, kind: str) -> None:
    """A body that is not a manifest gets 405 UNSUPPORTED, as in ECR, and no tag."""
    answer = await client.put("1.0", manifest, kind)
    assert (answer.error[:2], await tags(client)) == ((405, "UNSUPPORTED"), [])


async def test_an_immutable_tag_is_not_moved(client: Docker) -> None:
    """In an immutable repository, a tag cannot be moved to another image."""
    session: Any = client.ecr.session()
    async with session.create_client("ecr", endpoint_url=client.ecr.endpoint_url) as theirs:
        await theirs.create_repository(repositoryName="fixed", imageTagMutability="IMMUTABLE")
    for blob in APP.blobs:
        client.ecr.put_layer("fixed", blob)
    other = packed(mediaType=IMAGE, config=entry(APP.config, CONFIG), layers=[])

    await client.put("1.0", APP.manifest, IMAGE, name="fixed")
    answer = await client.put("1.0", other, IMAGE, name="fixed")
    assert answer.error == (
        400,
        "TAG_INVALID",
        (
            "The image tag '1.0' already exists in the 'fixed' repository and cannot be "
            "overwritten because the repository is immutable."
        ),
    )


async def test_a_malformed_tag(client: Docker) -> None:
    """A HEAD of a tag that is not valid gets 400."""
    assert (await client.send("HEAD", "/v2/app/manifests/-1.0+x")).status == 400


async def test_a_tag_is_deleted(client: Docker) -> None:
    """A DELETE by tag removes the tag, and the image keeps its others."""
    for tag in ("1.0", "2.0"):
        await client.put(tag, APP.manifest, IMAGE)
    assert (await client.send("DELETE", "/v2/app/manifests/1.0")).status == 202
    assert await tags(client) == ["2.0"]


async def test_an_image_is_deleted(client: Docker) -> None:
    """A DELETE by digest removes the image with its tags."""
    await client.put("1.0", APP.manifest, IMAGE)
    path = f"/v2/app/manifests/{sha256(APP.manifest)}"
    statuses = [(await client.send(method, path)).status for method in ("DELETE", "GET", "DELETE")]
    assert (statuses, await tags(client)) == ([202, 404, 404], [])


async def test_an_archived_image_is_not_found(client: Docker) -> None:
    """An archived image cannot be pulled."""
    await client.put("1.0", APP.manifest, IMAGE)
    client.ecr.archive("app", sha256(APP.manifest))
    assert (await client.send("GET", "/v2/app/manifests/1.0")).status == 404


# -- lists


async def test_the_tags_come_in_pages(client: Docker) -> None:
    """Links lead from page to page, at the host that the client used, and each tag comes once."""
    expected = [f"v{number}" for number in range(7)]
    for tag in reversed(expected):
        client.ecr.put_image("app", APP.manifest, tag)
    pages = await all_pages(client, "/v2/app/tags/list?n=3", "tags")
    assert pages == [expected[:3], expected[3:6], expected[6:]]


async def test_a_page_of_tags_has_a_hundred(client: Docker) -> None:
    """Without `n`, a page has 100 tags."""
    for number in range(101):
        client.ecr.put_image("app", APP.manifest, f"v{number:03}")
    pages = await all_pages(client, "/v2/app/tags/list", "tags")
    assert list(map(len, pages)) == [100, 1]


async def test_the_tags_after_one(client: Docker) -> None:
    """`last` is the tag after which the page begins."""
    for tag in ("a", "b", "c"):
        client.ecr.put_image("app", APP.manifest, tag)
    assert await tags(client, "?last=a") == ["b", "c"]


@pytest.mark.parametrize("path", ["/v2/app/tags/list", "/v2/_catalog"])
@pytest.mark.parametrize("n", ["1001", "0", "-1", "many", "9" * 5000, "²"])
async def test_a_size_of_a_page_that_ecr_refuses(client: Docker, path: str, n: str) -> None:
    """A page has 1 to 1,000 rows."""
    answer = await client.send("GET", f"{path}?n={n}")
    assert answer.error[:2] == (405, "UNSUPPORTED")
    assert answer.error[2].startswith("Invalid parameter at 'maxResults' failed to satisfy")


async def test_the_catalog_comes_in_pages(client: Docker) -> None:
    """Links lead through all repositories of the registry."""
    for name in ("team/b", "team/a"):
        client.ecr.create_repository(name)
    client.ecr.create_repository("foreign", registry_id="210987654321")
    pages = await all_pages(client, "/v2/_catalog?n=2", "repositories")
    assert pages == [["app", "team/a"], ["team/b"]]


# -- referrers


def signature(subject: bytes, kind: str = "application/vnd.test.signature", **more: Any) -> bytes:
    """Return a manifest that refers to another one."""
    return packed(
        mediaType=IMAGE,
        artifactType=kind,
        config=entry(APP.config, CONFIG),
        layers=[],
        subject=entry(subject, IMAGE),
        **more,
    )


async def test_referrers_of_an_image(client: Docker) -> None:
    """The referrers are an index of all images whose subject the image is."""
    signed = signature(APP.manifest, annotations={"by": "a test"})
    await client.put("1.0", APP.manifest, IMAGE)
    put = await client.put(sha256(signed), signed, IMAGE)
    answer = await client.send("GET", f"/v2/app/referrers/{sha256(APP.manifest)}")

    assert put.headers["oci-subject"] == sha256(APP.manifest)
    assert (answer.status, answer.headers["content-type"]) == (200, INDEX)
    assert answer.json["manifests"] == [
        {
            "mediaType": IMAGE,
            "digest": sha256(signed),
            "size": len(signed),
            "artifactType": "application/vnd.test.signature",
            "annotations": {"by": "a test"},
        }
    ]


async def test_referrers_of_one_type(client: Docker) -> None:
    """`artifactType` filters, and the response says so."""
    for kind in ("application/vnd.test.signature", "application/vnd.test.sbom"):
        manifest = signature(APP.manifest, kind)
        await client.put(sha256(manifest), manifest, IMAGE)
    path = f"/v2/app/referrers/{sha256(APP.manifest)}?artifactType=application/vnd.test.sbom"
    answer = await client.send("GET", path)
    kinds = [each["artifactType"] for each in answer.json["manifests"]]
    assert (kinds, answer.headers["oci-filters-applied"]) == (
        ["application/vnd.test.sbom"],
        "artifactType",
    )


@pytest.mark.parametrize("restore_time", [0.0, 600.0], ids=["restored", "being restored"])
async def test_an_archived_image_is_not_served(restore_time: float) -> None:
    """An archived image has neither a manifest, nor a blob, nor a referrer, until it is restored.

    While it is restored, it is not served.
    """
    signed = signature(APP.manifest)
    paths = [f"manifests/{sha256(signed)}", f"blobs/{sha256(APP.config)}"]

    async with LocalECR(restore_time=restore_time) as ecr, docker(ecr) as client:
        ecr.put_layer("app", APP.config)
        ecr.put_image("app", signed)

        async def served() -> list[Any]:
            answers = [await client.send("GET", f"/v2/app/{path}") for path in paths]
            found = await client.send("GET", f"/v2/app/referrers/{sha256(APP.manifest)}")
            return [*(answer.status for answer in answers), len(found.json["manifests"])]

        seen = [await served()]
        for target in ("ARCHIVE", "STANDARD"):
            image = {"repositoryName": "app", "imageId": {"imageDigest": sha256(signed)}}
            ecr._registry.run(  # pyright: ignore[reportPrivateUsage]
                "UpdateImageStorageClass", {**image, "targetStorageClass": target}
            )
            seen.append(await served())

    assert seen == [[200, 200, 1], [404, 404, 0], [404, 404, 0] if restore_time else [200, 200, 1]]


async def test_no_referrers(client: Docker) -> None:
    """A digest that nothing refers to has an empty index."""
    answer = await client.send("GET", f"/v2/app/referrers/{ABSENT}")
    assert (answer.status, answer.json["manifests"]) == (200, [])


async def test_referrers_of_no_digest(client: Docker) -> None:
    """A tag is not a subject."""
    assert (await client.send("GET", "/v2/app/referrers/1.0")).error[:2] == (400, "DIGEST_INVALID")


# -- mounts


@pytest.fixture
def source(client: Docker) -> str:
    """Put the image into `app`, create the repository `target`, and return how to mount a blob."""
    client.ecr.put_image("app", APP.manifest, "1.0")
    client.ecr.create_repository("target")
    return f"/v2/target/blobs/uploads/?mount={sha256(APP.layers[0])}&from=app"


async def enable_mounts(ecr: LocalECR) -> None:
    """Turn the account setting on, which is off in a new account."""
    session: Any = ecr.session()
    async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as theirs:
        await theirs.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")


async def test_a_mount_is_off_at_first(client: Docker, source: str) -> None:
    """Without the account setting, a mount starts an ordinary upload."""
    answer = await client.send("POST", source)
    assert (answer.status, "docker-upload-uuid" in answer.headers) == (202, True)


async def test_a_mount(client: Docker, source: str) -> None:
    """With the account setting, the blob is in the other repository at once."""
    await enable_mounts(client.ecr)
    digest = sha256(APP.layers[0])
    answer = await client.send("POST", source)
    head = await client.send("HEAD", f"/v2/target/blobs/{digest}")
    assert (answer.status, answer.headers["docker-content-digest"]) == (201, digest)
    assert (head.status, head.headers["content-length"]) == (200, "8")


@pytest.mark.parametrize(
    "query",
    [
        f"mount={ABSENT}&from=app",
        f"mount={sha256(APP.layers[0])}&from=none",
        f"mount={sha256(APP.layers[0])}",
        f"mount={sha256(b'no image')}&from=app",
    ],
    ids=["absent", "unknown-repository", "no-source", "no-image"],
)
async def test_what_cannot_be_mounted_is_uploaded(client: Docker, source: str, query: str) -> None:
    """A blob that the source does not have, or that no image refers to, is not mounted."""
    await enable_mounts(client.ecr)
    client.ecr.put_layer("app", b"no image")
    answer = await client.send("POST", f"{source.partition('?')[0]}?{query}")
    assert answer.status == 202


async def test_a_mount_needs_the_same_encryption(client: Docker, source: str) -> None:
    """A blob of a repository with another encryption is not mounted."""
    await enable_mounts(client.ecr)
    session: Any = client.ecr.session()
    kms = {"encryptionType": "KMS", "kmsKey": "arn:aws:kms:us-east-1:123456789012:key/1"}
    async with session.create_client("ecr", endpoint_url=client.ecr.endpoint_url) as theirs:
        await theirs.create_repository(repositoryName="secret", encryptionConfiguration=kms)
    answer = await client.send("POST", source.replace("target", "secret"))
    assert answer.status == 202


# -- faults, quotas and statistics


async def test_a_fault_of_an_operation_of_ecr(client: Docker) -> None:
    """A fault of PutImage affects the PUT of a manifest, and its error has the form of `/v2/`."""
    client.ecr.faults.add(operation="PutImage", error="ThrottlingException", times=1)
    answers = [await client.put("1.0", APP.manifest, IMAGE) for _ in range(2)]
    assert answers[0].error == (429, "TOOMANYREQUESTS", "Rate exceeded")
    assert answers[1].status == 201


async def test_a_fault_with_a_status(client: Docker) -> None:
    """The status of a fault is kept."""
    client.ecr.faults.add(error="ServerException", status=503, message="Busy")
    assert (await client.send("GET", "/v2/")).error == (503, "UNKNOWN", "Busy")


@pytest.mark.parametrize("option", [{"shuffle": True}, {"drop_rows": 1}, {"double_rows": 1}])
async def test_a_fault_of_rows_leaves_manifests_alone(
    client: Docker, option: dict[str, Any]
) -> None:
    """A fault that changes rows changes lists, and neither manifests nor empty responses."""
    client.ecr.faults.add(**option)
    assert (await client.put("1.0", APP.manifest, IMAGE)).status == 201
    assert (await client.send("GET", "/v2/app/manifests/1.0")).body == APP.manifest


async def test_a_layer_can_be_lost_before_a_manifest_is_put(client: Docker) -> None:
    """The fault lose_layer affects the PUT of a manifest."""
    client.ecr.faults.add(operation="PutImage", lose_layer=sha256(APP.layers[0]), times=1)
    assert (await client.put("1.0", APP.manifest, IMAGE)).error[1] == "BLOB_UPLOAD_UNKNOWN"


async def test_a_chunk_can_be_accepted_in_part(client: Docker) -> None:
    """The fault accept_bytes affects a chunk, and the next one follows what was accepted."""
    client.ecr.faults.add(operation="UploadLayerPart", accept_bytes=3, times=1)
    started = await client.send("POST", "/v2/app/blobs/uploads/")
    answer = await client.send("PATCH", started.headers["location"], b"0123456789")
    assert answer.headers["range"] == "0-2"


async def test_a_quota_of_an_operation() -> None:
    """Requests beyond the quota of their operation get 429."""
    async with LocalECR(quota={"ListImages": 0.001}, burst={"ListImages": 2}) as ecr:
        ecr.create_repository("app")
        async with docker(ecr) as client:
            statuses = [(await client.send("GET", "/v2/app/tags/list")).status for _ in range(3)]
            other = (await client.send("GET", "/v2/_catalog")).status
    assert (statuses, other) == ([200, 200, 429], 200)


async def test_requests_count_as_operations_of_ecr(client: Docker) -> None:
    """The statistics count a request under the operation that it is for ECR."""
    client.ecr.stats.reset()
    await client.upload(b"another blob", sha256(b"another blob"))
    await client.put("1.0", APP.manifest, IMAGE)
    await client.send("GET", "/v2/app/manifests/2.0")
    await client.send("GET", "/v2/")

    assert client.ecr.stats.by_operation == {
        "InitiateLayerUpload": {"ok": 1},
        "CompleteLayerUpload": {"ok": 1},
        "PutImage": {"ok": 1},
        "BatchGetImage": {"MANIFEST_UNKNOWN": 1},
        "": {"ok": 1},
    }


# -- the host of the registry


async def test_the_registry_host_is_named() -> None:
    """The URIs and the proxy endpoint of the default account name the host that was given."""
    other = "210987654321"
    async with LocalECR(registry_host="localhost:4510") as ecr:
        uris = [ecr.create_repository("app"), ecr.create_repository("app", registry_id=other)]
        session: Any = ecr.session()
        async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as theirs:
            answer = await theirs.get_authorization_token(registryIds=[ecr.account, other])
    assert uris == ["localhost:4510/app", f"{other}.dkr.ecr.us-east-1.amazonaws.com/app"]
    assert [each["proxyEndpoint"] for each in answer["authorizationData"]] == [
        "http://localhost:4510",
        f"https://{other}.dkr.ecr.us-east-1.amazonaws.com",
    ]


async def test_another_registry_host_applies_to_what_was_stored(tmp_path: Any) -> None:
    """A data directory has the URIs of the host that is given now."""
    LocalECR(data=tmp_path, registry_host="localhost:4510").create_repository("app")
    async with LocalECR(data=tmp_path, registry_host="localhost:5000") as ecr:
        session: Any = ecr.session()
        async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as theirs:
            found = await theirs.describe_repositories()
    assert [each["repositoryUri"] for each in found["repositories"]] == ["localhost:5000/app"]


@pytest.mark.parametrize("host", ["", "http://localhost", "localhost:4510/app", "a b", 5, "x:"])
async def test_a_malformed_registry_host_is_refused(host: Any) -> None:
    """A URL, a path or a number is not a host with a port."""
    with pytest.raises(ValueError, match="registry_host must be a host with its port"):
        LocalECR(registry_host=host)


async def test_a_mounted_blob_is_saved(tmp_path: Any) -> None:
    """A mount outlives the local ECR, as any other change does."""
    digest = sha256(APP.layers[0])
    async with LocalECR(data=tmp_path) as ecr, docker(ecr) as client:
        for blob in APP.blobs:
            ecr.put_layer("app", blob)
        ecr.put_image("app", APP.manifest, "1.0")
        ecr.create_repository("target")
        await enable_mounts(ecr)
        await client.send("POST", f"/v2/target/blobs/uploads/?mount={digest}&from=app")
    async with LocalECR(data=tmp_path) as ecr, docker(ecr) as client:
        assert (await client.send("HEAD", f"/v2/target/blobs/{digest}")).status == 200


async def test_clients_in_memory_reach_it() -> None:
    """The HTTP session of a client in memory gets the same responses."""
    async with LocalECR(in_memory=True, auth=False) as ecr:
        ecr.create_repository("app")
        session: Any = ecr.session()
        async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as theirs:
            url = f"{ecr.endpoint_url}/v2/app/blobs/uploads/?digest={sha256(b'blob')}"
            request = AWSRequest(method="POST", url=url, data=b"blob").prepare()
            # aiobotocore has no public name for the HTTP session of a client.
            answer = await theirs._endpoint.http_session.send(request)
    assert (answer.status_code, json.loads(await answer.content or b"null")) == (201, None)
