"""`LocalECR` as a test author uses it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from ecr_layer_client import ECRLayerError, InvalidInputError, Repository, local
from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._registry.manifest import OCI_CONFIG, OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable

HELD = "sha256:" + "a" * 64
ABSENT = "sha256:" + "b" * 64


@dataclass
class Blob:
    """An object with the attributes of a descriptor."""

    media_type: str
    digest: str
    size: int


async def rows(
    ecr: LocalECR, *digests: str, repository: str = "app", **members: str
) -> list[dict[str, Any]]:
    """Check digests through the session of the local ECR."""
    session: Any = ecr.session()
    async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as client:
        answer = await client.batch_check_layer_availability(
            repositoryName=repository, layerDigests=list(digests), **members
        )
        return [*answer["layers"], *answer["failures"]]


@pytest.mark.parametrize(
    "descriptor",
    [
        (HELD, 7, "text/plain"),
        [HELD, 7, "text/plain"],
        {"digest": HELD, "size": 7, "mediaType": "text/plain"},
        Blob("text/plain", HELD, 7),
        ("sha256:" + "A" * 64, 7, "text/plain"),
    ],
    ids=["tuple", "list", "mapping", "object", "upper-case"],
)
@pytest.mark.asyncio
async def test_a_descriptor_has_many_shapes(descriptor: Any) -> None:
    """Tuples, mappings and objects seed the same layer, and digests are stored in lower case."""
    async with LocalECR(in_memory=True) as ecr:
        ecr.seed("app", [descriptor])
        expected = {
            "layerDigest": HELD,
            "layerAvailability": "AVAILABLE",
            "layerSize": 7,
            "mediaType": "text/plain",
        }

        assert await rows(ecr, HELD) == [expected]


@pytest.mark.parametrize(
    "descriptor",
    ["x", (HELD,), (HELD, -1), (HELD, True), (HELD, "7"), ("sha256:", 7), (None, 7), {}, None],
)
def test_a_bad_descriptor_seeds_nothing(descriptor: Any) -> None:
    """A descriptor without a valid digest and size raises ValueError that shows the descriptor."""
    with pytest.raises(ValueError, match=r"descriptor|size"):
        LocalECR().seed("app", [descriptor])


@pytest.mark.asyncio
async def test_put_layer_returns_the_digest_of_the_layer() -> None:
    """put_layer returns the sha256 of the bytes, and the layer is available with its size."""
    async with LocalECR(in_memory=True) as ecr:
        digest = ecr.put_layer("app", b"data", "text/plain")
        assert digest == "sha256:" + hashlib.sha256(b"data").hexdigest()
        assert [(row["layerSize"], row["mediaType"]) for row in await rows(ecr, digest)] == [
            (4, "text/plain")
        ]


@pytest.mark.asyncio
async def test_an_archived_layer_is_archived_until_it_is_put_again() -> None:
    """archive() makes a layer ARCHIVED, and put_layer() makes it AVAILABLE again."""
    async with LocalECR(in_memory=True) as ecr:
        digest = ecr.put_layer("app", b"data")
        ecr.archive("app", digest.upper().replace("SHA", "sha"))
        before = await rows(ecr, digest)
        ecr.put_layer("app", b"data")
        after = await rows(ecr, digest)
    assert [row["layerAvailability"] for row in before + after] == ["ARCHIVED", "AVAILABLE"]


@pytest.mark.parametrize("name", ["app", "nope"])
def test_archiving_an_unknown_digest_is_a_lookup_error(name: str) -> None:
    """archive() of an unknown layer or repository raises LookupError."""
    ecr = LocalECR()
    ecr.create_repository("app")
    with pytest.raises(LookupError, match="has neither a layer nor an image"):
        ecr.archive(name, HELD)


@pytest.mark.asyncio
async def test_another_registry_has_its_own_repositories() -> None:
    """registry_id selects the registry of another account, to seed and to check."""
    async with LocalECR(in_memory=True) as ecr:
        ecr.seed("app", [(HELD, 7)], registry_id="999999999999")
        ecr.create_repository("app")
        found = await rows(ecr, HELD, registryId="999999999999") + await rows(ecr, HELD)
    assert [row["layerAvailability"] for row in found] == ["AVAILABLE", "UNAVAILABLE"]


@pytest.mark.asyncio
async def test_absent_missing_reaches_the_wire() -> None:
    """`absent="missing"` returns a failure for an absent layer."""
    async with LocalECR(in_memory=True, absent="missing") as ecr:
        ecr.create_repository("app")
        assert [row["failureCode"] for row in await rows(ecr, HELD)] == ["MissingLayerDigest"]


@pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])
@pytest.mark.asyncio
async def test_its_client_checks_layers_and_leaves_nothing(*, in_memory: bool) -> None:
    """client() returns an ECRLayerClient for the local ECR, with ClientConfig's options.

    A closed client leaves no connection.
    """
    async with LocalECR(in_memory=in_memory) as ecr:
        ecr.seed("app", [(HELD, 7)])
        async with ecr.client(batch_size=1) as client:
            result = await client.check_layers("app", [HELD, ABSENT])
        assert (result.available, result.absent, ecr.stats.requests) == ((HELD,), (ABSENT,), 2)
        await asyncio.sleep(0)
        assert ecr.in_flight == 0


@pytest.mark.asyncio
async def test_its_client_rejects_an_invalid_option() -> None:
    """client() rejects what ClientConfig rejects."""
    async with LocalECR(in_memory=True) as ecr:
        with pytest.raises(InvalidInputError, match="batch_size"):
            ecr.client(batch_size=101)


def test_creating_a_repository_twice_is_fine() -> None:
    """create_repository makes sure that the repository exists, and returns its URI each time."""
    ecr = LocalECR(region="eu-west-1", account="000000000001")
    uri = "000000000001.dkr.ecr.eu-west-1.amazonaws.com/team/app"
    assert [ecr.create_repository("team/app"), ecr.create_repository("team/app")] == [uri, uri]


@pytest.mark.parametrize("name", ["App", "a", "", "a//b"])
def test_a_bad_repository_name_is_a_value_error(name: str) -> None:
    """An invalid name raises ValueError that shows the name and the rule."""
    with pytest.raises(
        ValueError, match=f"^'{name}' is not a valid ECR repository name: use 2 to 256 characters"
    ):
        LocalECR().create_repository(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("account", each) for each in ("12", "12345678901x", 123456789012, None)),
        *(("absent", each) for each in ("gone", None, list[str]())),
        *(("region", each) for each in ("../mars", "", "us-east-1\n", None)),
        *(("regions", each) for each in (["eu-west-1", ""], "eu-west-1")),
        *(("host", each) for each in ("", " ", None, 127)),
        *(("port", each) for each in (-1, 70_000, "80", True, 8.0)),
        *(("data", each) for each in ("", b"bytes", 5, "\0")),
        *(("intake", each) for each in (0, "1", float("nan"))),
        *(("max_part_size", each) for each in (5 * 1024 * 1024 - 1, 20_971_521, 1e7, True)),
        *(("max_layers_per_image", each) for each in (0, 1.5, True)),
        *(("restore_time", each) for each in (-1, "60", float("inf"))),
    ],
    ids=str,
)
def test_bad_options_are_value_errors(name: str, value: Any) -> None:
    """An invalid option is rejected at once, with its name, its value and the rule."""
    # Of a list, the error shows the invalid item.
    shown = "" if value == ["eu-west-1", ""] else value
    with pytest.raises(
        ValueError, match=rf"^{name.removesuffix('s')}s? must be .*{re.escape(repr(shown))}"
    ):
        LocalECR(**dict[str, Any]({name: value}))


def its_url(ecr: LocalECR) -> object:
    """Return the endpoint."""
    return ecr.endpoint_url


def its_keywords(ecr: LocalECR) -> object:
    """Return the arguments for a client."""
    return ecr.client_kwargs


def its_session(ecr: LocalECR) -> object:
    """Return a session."""
    return ecr.session()


@pytest.mark.parametrize("use", [its_url, its_keywords, its_session])
@pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])
@pytest.mark.asyncio
async def test_a_closed_local_ecr_says_how_to_open_it(
    use: Callable[[LocalECR], Any], *, in_memory: bool
) -> None:
    """Before opening and after closing, what needs an open local ECR raises RuntimeError."""
    ecr = LocalECR(in_memory=in_memory)
    with pytest.raises(RuntimeError, match="async with LocalECR"):
        use(ecr)
    async with ecr:
        use(ecr)
    with pytest.raises(RuntimeError, match="async with LocalECR"):
        use(ecr)


@pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])
@pytest.mark.asyncio
async def test_it_opens_again_with_its_contents(*, in_memory: bool) -> None:
    """Closing twice is safe, and the layers are there after opening again."""
    ecr = LocalECR(in_memory=in_memory)
    ecr.seed("app", [(HELD, 7)])
    await ecr.open()
    await ecr.aclose()
    await ecr.aclose()
    async with ecr:
        assert [row["layerAvailability"] for row in await rows(ecr, HELD)] == ["AVAILABLE"]


@pytest.mark.asyncio
async def test_it_opens_once_at_a_time() -> None:
    """Opening an open local ECR raises RuntimeError."""
    async with LocalECR(in_memory=True) as ecr:
        with pytest.raises(RuntimeError, match="already open"):
            await ecr.open()


@pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])
@pytest.mark.asyncio
async def test_its_session_ignores_the_users_settings(
    *, in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session ignores AWS_* variables, profiles, config files, proxies and CA bundles."""
    hostile = {
        "AWS_PROFILE": "nope",
        "AWS_CONFIG_FILE": "/nope",
        "AWS_REGION": "mars-1",
        "AWS_DEFAULT_REGION": "mars-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_CA_BUNDLE": "/nope",
        "AWS_RETRY_MODE": "nope",
        "AWS_DEFAULTS_MODE": "auto",
        "REQUESTS_CA_BUNDLE": "/nope",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    for name, value in hostile.items():
        monkeypatch.setitem(os.environ, name, value)

    async with LocalECR(in_memory=in_memory) as ecr:
        ecr.seed("app", [(HELD, 7)])
        assert [row["layerAvailability"] for row in await rows(ecr, HELD)] == ["AVAILABLE"]


@pytest.mark.asyncio
async def test_stats_count_by_operation_and_start_again() -> None:
    """The statistics count requests, digests and outcomes, and reset() sets them to zero."""
    async with LocalECR(in_memory=True) as ecr:
        ecr.seed("app", [(HELD, 7)])
        await rows(ecr, HELD, HELD, "x")
        assert (ecr.stats.requests, ecr.stats.digests_checked) == (1, 3)
        assert ecr.stats.by_operation == {"BatchCheckLayerAvailability": {"ok": 1}}
        ecr.stats.reset()
        assert (ecr.stats.requests, ecr.stats.digests_checked, ecr.stats.by_operation) == (0, 0, {})


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("operation", "name"),
    [("StartImageScan", "StartImageScan"), ("../../etc/passwd", ""), ("A" * 65, "")],
)
async def test_stats_name_operations_that_are_not_served(operation: str, name: str) -> None:
    """An operation that is not served counts under its name. Any other text counts as ""."""
    async with LocalECR() as ecr, aiohttp.ClientSession() as http:
        headers = {"X-Amz-Target": f"AmazonEC2ContainerRegistry_V20150921.{operation}"}
        async with http.post(ecr.endpoint_url, headers=headers, data=b"{}") as response:
            await response.read()

    assert ecr.stats.by_operation == {name: {"MissingAuthenticationTokenException": 1}}


def put_layer(ecr: LocalECR) -> object:
    """Put an empty layer."""
    return ecr.put_layer("app", b"")


def seed_image(ecr: LocalECR) -> object:
    """Put an image that has an empty layer."""
    return ecr.seed_image("app", [b"a layer", b""])


@pytest.mark.parametrize("put", [put_layer, seed_image])
def test_an_empty_layer_is_rejected(put: Callable[[LocalECR], Any]) -> None:
    """ECR accepts no layer of 0 bytes, so that a test cannot rely on one."""
    with pytest.raises(ValueError, match="ECR accepts no empty layer"):
        put(LocalECR())


@pytest.mark.asyncio
async def test_its_repr_says_where_it_is() -> None:
    """The repr has the account, the Region and the address."""
    ecr = LocalECR(in_memory=True)
    assert repr(ecr) == "<LocalECR 123456789012 us-east-1 closed>"
    async with ecr:
        assert repr(ecr) == f"<LocalECR 123456789012 us-east-1 {ecr.endpoint_url}>"


def test_the_public_names_are_sorted_and_exist() -> None:
    """`ecr_layer_client.local` exports its public names, in order."""
    assert sorted(local.__all__) == local.__all__
    assert all(hasattr(local, name) for name in local.__all__)


# -- images


async def images(ecr: LocalECR, repository: str = "app") -> list[tuple[str, str | None]]:
    """Return the digest and the tag of each image in a repository."""
    session: Any = ecr.session()
    async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as client:
        rows = (await client.list_images(repositoryName=repository))["imageIds"]
        return sorted((row["imageDigest"], row.get("imageTag")) for row in rows)


@pytest.mark.asyncio
async def test_an_image_is_seeded_in_one_call() -> None:
    """seed_image adds layers, an OCI config and a manifest, and returns the image's digest."""
    async with LocalECR(in_memory=True) as ecr:
        digest = ecr.seed_image("app", [b"a layer", (HELD, 7)], "1.0")
        assert await images(ecr) == [(digest, "1.0")]
        details = ecr._registry.run("DescribeImages", {"repositoryName": "app"})["imageDetails"][0]
        assert (details["imageManifestMediaType"], details["artifactMediaType"]) == (
            OCI_MANIFEST,
            OCI_CONFIG,
        )
        layer = "sha256:" + hashlib.sha256(b"a layer").hexdigest()

        assert [
            (row["layerAvailability"], row["layerSize"]) for row in await rows(ecr, layer, HELD)
        ] == [("AVAILABLE", 7)] * 2


@pytest.mark.asyncio
async def test_a_manifest_is_put_in_any_form() -> None:
    """put_image takes text, bytes or a dict, and returns the digest of the bytes.

    A second call is accepted.
    """
    async with LocalECR(in_memory=True) as ecr:
        manifest: dict[str, Any] = {
            "mediaType": OCI_MANIFEST,
            "config": {"digest": ecr.put_layer("app", b"{}")},
            "layers": [],
        }
        text = json.dumps(manifest)
        expected = "sha256:" + hashlib.sha256(text.encode()).hexdigest()

        assert [ecr.put_image("app", form, "1.0") for form in (manifest, text, text.encode())] == [
            expected
        ] * 3
        assert await images(ecr) == [(expected, "1.0")]


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("{}", r"at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"),
        ("", r"InvalidParameterException: .* length"),
        (b"\xff", "utf-8"),
        (
            {"mediaType": OCI_MANIFEST, "config": {"digest": HELD}, "layers": []},
            f"LayersNotFoundException: .*{HELD}",
        ),
    ],
    ids=["empty", "nothing", "bytes", "layers"],
)
def test_an_image_that_ecr_rejects_is_a_value_error(manifest: Any, said: str) -> None:
    """An image that PutImage rejects raises ValueError with ECR's code and words."""
    with pytest.raises(ValueError, match=said):
        LocalECR().put_image("app", manifest)


# -- registries by account and Region


@pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])
@pytest.mark.parametrize("auth", [False, True])
@pytest.mark.asyncio
async def test_each_region_is_a_registry_of_its_own(*, in_memory: bool, auth: bool) -> None:
    """The Region for which a request is signed selects the registry."""
    async with (
        LocalECR(in_memory=in_memory, regions=["eu-west-1"], auth=auth) as ecr,
        ecr.client() as client,
    ):
        ecr.seed("app", [(HELD, 7)])
        ecr.create_repository("123456789012.dkr.ecr.eu-west-1.amazonaws.com/app")
        here = await client.check_layers("app", [HELD])
        async with client.for_region("eu-west-1") as european:
            there = await european.check_layers("app", [HELD])

        assert (here.available, there.absent) == ((HELD,), (HELD,))


@pytest.mark.asyncio
async def test_a_region_that_is_not_served_is_rejected() -> None:
    """A request for a Region that is not served is rejected, and so is a repository there."""
    async with LocalECR(in_memory=True, regions=["eu-west-1"]) as ecr, ecr.client() as client:
        async with client.for_region("eu-central-1") as other:
            with pytest.raises(ECRLayerError, match="InvalidSignatureException"):
                await other.check_layers("app", [HELD])
        with pytest.raises(ValueError, match="serves us-east-1, eu-west-1 and not eu-central-1"):
            ecr.create_repository(Repository(name="app", region="eu-central-1"))


@pytest.mark.asyncio
async def test_a_layer_of_another_region_is_downloaded_there() -> None:
    """The URL of a layer belongs to its Region, and works on the same server."""
    async with LocalECR(regions=["eu-west-1"]) as ecr:
        ecr.seed_image(Repository(name="app", region="eu-west-1"), [b"a layer"])
        digest = "sha256:" + hashlib.sha256(b"a layer").hexdigest()
        session: Any = ecr.session()

        async with session.create_client(
            "ecr", region_name="eu-west-1", endpoint_url=ecr.endpoint_url
        ) as client:
            url = (
                await client.get_download_url_for_layer(repositoryName="app", layerDigest=digest)
            )["downloadUrl"]

        async with aiohttp.ClientSession() as http, http.get(url) as response:
            assert await response.read() == b"a layer"


@pytest.mark.parametrize(
    "repository",
    [
        "999999999999.dkr.ecr.us-east-1.amazonaws.com/team/app",
        "arn:aws:ecr:us-east-1:999999999999:repository/team/app",
        Repository(name="team/app", registry_id="999999999999"),
    ],
    ids=["uri", "arn", "value"],
)
def test_a_repository_is_named_as_the_client_names_it(repository: str | Repository) -> None:
    """A URI, an ARN and a Repository name the registry and the Region, too."""
    assert (
        LocalECR().create_repository(repository)
        == "999999999999.dkr.ecr.us-east-1.amazonaws.com/team/app"
    )
