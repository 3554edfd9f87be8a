"""`LocalECR` as a test author uses it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, local
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Callable

HELD = "sha256:" + "a" * 64
ABSENT = "sha256:" + "b" * 64


@dataclass
class Blob:
    """An object with a descriptor's attributes."""

    media_type: str
    digest: str
    size: int


async def rows(ecr: LocalECR, *digests: str, repository: str = "app", **members: str) -> list[dict[str, Any]]:
    """Check digests through its session."""
    session: Any = ecr.session()
    async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as client:
        answer = await client.batch_check_layer_availability(repositoryName=repository, layerDigests=list(digests), **members)
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
    """Tuples, mappings and objects seed alike; digests are held in lower case."""
    async with LocalECR(in_memory=True) as ecr:
        ecr.seed("app", [descriptor])
        expected = {"layerDigest": HELD, "layerAvailability": "AVAILABLE", "layerSize": 7, "mediaType": "text/plain"}
        assert await rows(ecr, HELD) == [expected]


@pytest.mark.parametrize("descriptor", ["x", (HELD,), (HELD, -1), (HELD, True), (HELD, "7"), ("sha256:", 7), (None, 7), {}, None])
def test_a_bad_descriptor_seeds_nothing(descriptor: Any) -> None:
    """A descriptor without a well-formed digest and size is a ValueError that shows it."""
    with pytest.raises(ValueError, match=r"descriptor|size"):
        LocalECR().seed("app", [descriptor])


@pytest.mark.asyncio
async def test_put_layer_answers_the_digest_and_holds_the_layer() -> None:
    """put_layer gives the sha256 of the bytes, and the layer is available with its size."""
    async with LocalECR(in_memory=True) as ecr:
        digest = ecr.put_layer("app", b"data", "text/plain")
        assert digest == "sha256:" + hashlib.sha256(b"data").hexdigest()
        assert [(row["layerSize"], row["mediaType"]) for row in await rows(ecr, digest)] == [(4, "text/plain")]


@pytest.mark.asyncio
async def test_an_archived_layer_is_archived_until_it_is_put_again() -> None:
    """archive() makes a layer ARCHIVED, put_layer() AVAILABLE again."""
    async with LocalECR(in_memory=True) as ecr:
        digest = ecr.put_layer("app", b"data")
        ecr.archive("app", digest.upper().replace("SHA", "sha"))
        before = await rows(ecr, digest)
        ecr.put_layer("app", b"data")
        after = await rows(ecr, digest)
    assert [row["layerAvailability"] for row in before + after] == ["ARCHIVED", "AVAILABLE"]


@pytest.mark.parametrize("name", ["app", "nope"])
def test_archiving_what_is_not_held_is_a_lookup_error(name: str) -> None:
    """archive() of an unknown layer or repository says so."""
    ecr = LocalECR()
    ecr.create_repository("app")
    with pytest.raises(LookupError, match="holds no layer"):
        ecr.archive(name, HELD)


@pytest.mark.asyncio
async def test_another_registry_holds_its_own() -> None:
    """With registry_id a repository of another account is seeded, and asked for."""
    async with LocalECR(in_memory=True) as ecr:
        ecr.seed("app", [(HELD, 7)], registry_id="999999999999")
        ecr.create_repository("app")
        found = await rows(ecr, HELD, registryId="999999999999") + await rows(ecr, HELD)
    assert [row["layerAvailability"] for row in found] == ["AVAILABLE", "UNAVAILABLE"]


@pytest.mark.asyncio
async def test_absent_missing_reaches_the_wire() -> None:
    """`absent="missing"` answers a failure for a layer that is not held."""
    async with LocalECR(in_memory=True, absent="missing") as ecr:
        ecr.create_repository("app")
        assert [row["failureCode"] for row in await rows(ecr, HELD)] == ["MissingLayerDigest"]


@pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])
@pytest.mark.asyncio
async def test_its_client_checks_layers_and_leaves_nothing(*, in_memory: bool) -> None:
    """client() is an ECRLayerClient wired to it, with ClientConfig's options; closed, it leaves no connection."""
    async with LocalECR(in_memory=in_memory) as ecr:
        ecr.seed("app", [(HELD, 7)])
        async with ecr.client(batch_size=1) as client:
            result = await client.check_layers("app", [HELD, ABSENT])
        assert (result.available, result.absent, ecr.stats.requests) == ((HELD,), (ABSENT,), 2)
        await asyncio.sleep(0)
        assert ecr.in_flight == 0


@pytest.mark.asyncio
async def test_its_client_refuses_an_unknown_option() -> None:
    """client() refuses what ClientConfig refuses."""
    async with LocalECR(in_memory=True) as ecr:
        with pytest.raises(InvalidInputError, match="batch_size"):
            ecr.client(batch_size=101)


def test_creating_a_repository_twice_is_fine() -> None:
    """create_repository makes sure that the repository is there, and answers its URI each time."""
    ecr = LocalECR(region="eu-west-1", account="000000000001")
    uri = "000000000001.dkr.ecr.eu-west-1.amazonaws.com/team/app"
    assert [ecr.create_repository("team/app"), ecr.create_repository("team/app")] == [uri, uri]


@pytest.mark.parametrize("name", ["App", "a", "", "a//b"])
def test_a_bad_repository_name_is_a_value_error(name: str) -> None:
    """A name that ECR refuses is a ValueError in ECR's words."""
    with pytest.raises(ValueError, match="Invalid parameter at 'repositoryName'"):
        LocalECR().create_repository(name)


@pytest.mark.parametrize(
    "options", [{"account": "12"}, {"account": "12345678901x"}, {"absent": "gone"}], ids=["short", "letters", "absent"]
)
def test_bad_options_are_value_errors(options: dict[str, Any]) -> None:
    """An account that is not 12 digits, or an unknown word for absent, is refused at once."""
    with pytest.raises(ValueError, match=next(iter(options))):
        LocalECR(**options)


def its_url(ecr: LocalECR) -> object:
    """Ask where it is."""
    return ecr.endpoint_url


def its_keywords(ecr: LocalECR) -> object:
    """Ask how a client reaches it."""
    return ecr.client_kwargs


def its_session(ecr: LocalECR) -> object:
    """Ask for a session."""
    return ecr.session()


@pytest.mark.parametrize("use", [its_url, its_keywords, its_session])
@pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])
@pytest.mark.asyncio
async def test_before_open_and_after_close_it_says_so(use: Callable[[LocalECR], Any], *, in_memory: bool) -> None:
    """What needs it open raises RuntimeError with the mend, before and after."""
    ecr = LocalECR(in_memory=in_memory)
    with pytest.raises(RuntimeError, match="async with LocalECR"):
        use(ecr)
    async with ecr:
        use(ecr)
    with pytest.raises(RuntimeError, match="async with LocalECR"):
        use(ecr)


@pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])
@pytest.mark.asyncio
async def test_it_opens_again_with_what_it_held(*, in_memory: bool) -> None:
    """Closing twice is fine, and opening again finds the layers."""
    ecr = LocalECR(in_memory=in_memory)
    ecr.seed("app", [(HELD, 7)])
    await ecr.open()
    await ecr.aclose()
    await ecr.aclose()
    async with ecr:
        assert [row["layerAvailability"] for row in await rows(ecr, HELD)] == ["AVAILABLE"]


@pytest.mark.asyncio
async def test_it_opens_once_at_a_time() -> None:
    """Opening what is open is a RuntimeError."""
    async with LocalECR(in_memory=True) as ecr:
        with pytest.raises(RuntimeError, match="open already"):
            await ecr.open()


@pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])
@pytest.mark.asyncio
async def test_its_session_is_deaf_to_the_users_settings(*, in_memory: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No AWS_* variable, profile, configuration file, proxy or CA bundle reaches its session."""
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
    """The stats count requests, digests and outcomes, and reset() forgets."""
    async with LocalECR(in_memory=True) as ecr:
        ecr.seed("app", [(HELD, 7)])
        await rows(ecr, HELD, HELD, "x")
        assert (ecr.stats.requests, ecr.stats.digests_checked) == (1, 3)
        assert ecr.stats.by_operation == {"BatchCheckLayerAvailability": {"ok": 1}}
        ecr.stats.reset()
        assert (ecr.stats.requests, ecr.stats.digests_checked, ecr.stats.by_operation) == (0, 0, {})


@pytest.mark.asyncio
async def test_its_repr_says_where_it_is() -> None:
    """Its repr names account, Region and address."""
    ecr = LocalECR(in_memory=True)
    assert repr(ecr) == "<LocalECR 123456789012 us-east-1 closed>"
    async with ecr:
        assert repr(ecr) == f"<LocalECR 123456789012 us-east-1 {ecr.endpoint_url}>"


def test_the_public_names_are_sorted_and_there() -> None:
    """`ecr_layer_client.local` exports what it says, in order."""
    assert sorted(local.__all__) == local.__all__
    assert all(hasattr(local, name) for name in local.__all__)
