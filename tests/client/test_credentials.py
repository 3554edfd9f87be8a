"""Credentials of the library's own sessions: found, refreshed and renewed once for all callers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest
from aiobotocore.credentials import AioCredentials, AioRefreshableCredentials
from aiobotocore.session import AioSession
from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError

from client.chains import KEYS, Chain, Refreshable, found_by_all, keys_of
from client.steps import captured_variables, client_of, now, partial_of
from ecr_layer_client import CallError, ClientConfig, CredentialsError, ECRLayerClient, Repository
from ecr_layer_client._calls.caller import Caller, OperationState
from ecr_layer_client._calls.connection import Resources
from ecr_layer_client._calls.observer import SafeObserver
from ecr_layer_client._calls.rate_limiter import RateLimiter
from ecr_layer_client._checks.operation import Check
from ecr_layer_client._transport.client_method import ClientMethodTransport
from ecr_layer_client._transport.credentials import SharedCredentials
from ecr_layer_client._transport.responses import ResponseReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

HELPER_GONE = CredentialRetrievalError(provider="x", error_msg="the helper is gone")


@pytest.mark.parametrize(
    ("found", "words"),
    [(keys_of(), KEYS[0]), (HELPER_GONE, "the helper is gone")],
    ids=["keys", "error"],
)
async def test_found_once_for_all(found: object, words: str) -> None:
    """100 callers at once run the chain once, and each gets its keys or its error's words."""
    chain = Chain(found)
    seen = await found_by_all(SharedCredentials(chain))
    assert (chain.runs, {words in each for each in seen}) == (1, {True})


async def test_a_failure_is_forgotten() -> None:
    """The chain is run again a second after it failed, and not before."""
    credentials = SharedCredentials(Chain(NoCredentialsError(), keys_of()))
    for _ in range(2):
        with pytest.raises(CredentialsError, match="Unable to locate credentials"):
            await credentials.get_frozen_credentials()

    await asyncio.sleep(1.1)
    assert (await credentials.get_frozen_credentials()).access_key == KEYS[0]


async def test_a_chain_that_finds_nothing() -> None:
    """A chain that finds nothing is an error."""
    with pytest.raises(CredentialsError, match="Unable to locate credentials"):
        await SharedCredentials(Chain(None)).get_frozen_credentials()


async def test_a_chain_that_hangs() -> None:
    """A chain is given up after 60 seconds, and the next callers get the reason."""
    credentials = SharedCredentials(Chain(keys_of(), takes=3600))
    for _ in range(2):
        with pytest.raises(CredentialsError, match="no response within 60 s"):
            await credentials.get_frozen_credentials()
    assert now() == pytest.approx(60)


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No file"), LookupError()], ids=repr)
async def test_a_chain_that_raises_anything(error: Exception) -> None:
    """An error of a chain becomes a CredentialsError with its words, or its class without them."""
    words = str(error) or "LookupError"
    with pytest.raises(CredentialsError) as raised:
        await SharedCredentials(Chain(error)).get_frozen_credentials()
    assert str(raised.value).endswith(f"; botocore says {words!r}")
    assert raised.value.__cause__ is error


async def _refreshable(*later: object) -> tuple[SharedCredentials, Refreshable]:
    """Return credentials whose keys were used before, and the object that they come from."""
    found = Refreshable()
    credentials = SharedCredentials(Chain(found, *later))
    await credentials.get_frozen_credentials()
    # A refresh that is only advised waits for ten seconds.
    await asyncio.sleep(11)
    return credentials, found


async def test_expired_keys_are_refreshed_once_for_all() -> None:
    """100 callers at once wait for one refresh of expired keys."""
    credentials, found = await _refreshable()
    found.seconds_left = -1.0
    seen = await found_by_all(credentials)
    assert (seen, found.refreshes, credentials.generation) == ({"key-1"}, 1, 1)


async def test_refreshed_ahead_once_for_all() -> None:
    """Keys that expire soon are used while they are refreshed, once for all; nobody waits."""
    credentials, found = await _refreshable()
    found.seconds_left = 600.0
    before = now()
    assert (await found_by_all(credentials), now()) == ({"key-0"}, before)

    await asyncio.sleep(1.1)
    assert (await found_by_all(credentials), found.refreshes) == ({"key-1"}, 1)


@pytest.mark.parametrize(
    ("error", "lasts", "words"),
    [
        (ConnectionError("the metadata service is away"), 1.0, "the metadata service is away"),
        (None, 60.0, "no response within 60 s"),
    ],
    ids=["fails", "hangs"],
)
async def test_a_refresh_ahead_that_fails(
    error: Exception | None, lasts: float, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A refresh ahead that fails or hangs is logged, and tried again after ten seconds."""
    credentials, found = await _refreshable()
    found.seconds_left, found.takes, found.error = 600.0, 1.0 if error else 3600.0, error
    assert await found_by_all(credentials) == {"key-0"}

    await asyncio.sleep(lasts + 9.0)
    assert (await found_by_all(credentials), found.refreshes) == ({"key-0"}, 1)
    assert [words in record.getMessage() for record in caplog.records] == [True]

    found.takes, found.error = 1.0, None
    await asyncio.sleep(1.1)
    assert await found_by_all(credentials) == {"key-0"}
    await asyncio.sleep(1.1)
    assert (await found_by_all(credentials), found.refreshes) == ({"key-2"}, 2)


async def test_a_renewal_during_a_refresh_ahead() -> None:
    """Keys renewed after an error response are not overwritten by a refresh of the old ones."""
    credentials, found = await _refreshable(keys_of())
    found.seconds_left, found.takes = 600.0, 5.0
    await credentials.get_frozen_credentials()
    await credentials.renew(1)
    await asyncio.sleep(6)
    keys = await credentials.get_frozen_credentials()
    assert (keys.access_key, found.refreshes) == (KEYS[0], 1)


async def test_closing_cancels_a_refresh_ahead() -> None:
    """Closing cancels a refresh that is running."""
    credentials, found = await _refreshable()
    found.seconds_left, found.takes = 600.0, 3600.0
    await credentials.get_frozen_credentials()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 2

    await credentials.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await credentials.aclose()


async def test_a_refresh_that_fails_for_all() -> None:
    """A refresh of expired keys that fails is tried once for 100 callers, and a second later."""
    credentials, found = await _refreshable()
    found.seconds_left, found.error = -1.0, HELPER_GONE
    seen = await found_by_all(credentials)
    assert (found.refreshes, {"the helper is gone" in each for each in seen}) == (1, {True})

    found.error = None
    await asyncio.sleep(1.1)
    assert (await found_by_all(credentials), found.refreshes) == ({"key-2"}, 2)


async def test_renewed_once_for_all() -> None:
    """100 callers whose keys were refused run the chain once more, and each has new keys."""
    chain = Chain(keys_of("old"), keys_of())
    credentials = SharedCredentials(chain)
    await credentials.get_frozen_credentials()
    renewed = await asyncio.gather(*(credentials.renew(1) for _ in range(100)))
    assert (chain.runs, credentials.generation, set(renewed)) == (2, 2, {True})


@asynccontextmanager
async def _caller(
    ecr: LocalECR, chain: Callable[[], Awaitable[Any]]
) -> AsyncGenerator[tuple[Caller, SharedCredentials], None]:
    """Give a caller that signs with what the chain finds, as in a session of the library."""
    shared = SharedCredentials(chain)
    session: Any = ecr.session()
    session._credentials = shared
    config = ClientConfig()
    async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as client:
        reader = ResponseReader(ecr.region, config.max_response_bytes, owns_credentials=True)
        transport = ClientMethodTransport(client, reader)
        slots = asyncio.Semaphore(10)
        resources = Resources(transport, ecr.region, shared, RateLimiter(), slots)
        yield Caller(resources, config, SafeObserver(None)), shared
        await transport.aclose()


async def _call(caller: Caller, *, is_over: bool = False) -> int:
    check = Check(Repository(name="app"), ["sha256:aa"])
    settled = await caller.call(check, OperationState(is_over=is_over))
    return len(settled.rows)


async def test_refused_keys_are_renewed_once(ecr: LocalECR) -> None:
    """Calls whose keys are refused share one run of the chain, are sent once more and succeed."""
    chain = Chain(keys_of("unknown"), keys_of())
    async with _caller(ecr, chain) as (caller, credentials):
        counts = await asyncio.gather(*(_call(caller) for _ in range(10)))
    assert (counts, chain.runs, credentials.generation, ecr.stats.requests) == ([1] * 10, 2, 2, 20)


@pytest.mark.parametrize(
    ("found", "match", "requests"),
    [
        pytest.param([keys_of("unknown")], "renew the credentials", 2, id="refused-again"),
        pytest.param([NoCredentialsError()], "aws sso login", 0, id="never-any"),
        pytest.param([keys_of("unknown"), HELPER_GONE], "the helper is gone", 1, id="no-new-ones"),
    ],
)
async def test_a_call_without_valid_keys(
    ecr: LocalECR, found: list[object], match: str, requests: int
) -> None:
    """A call fails if there are no keys, or if ECR refuses them and the renewed ones."""
    async with _caller(ecr, Chain(*found)) as (caller, _):
        with pytest.raises(CredentialsError, match=match):
            await _call(caller)
    assert ecr.stats.requests == requests


async def test_an_operation_that_is_over_renews_nothing(ecr: LocalECR) -> None:
    """A call whose keys are refused is not sent again when its operation has failed."""
    chain = Chain(keys_of("unknown"))
    async with _caller(ecr, chain) as (caller, _):
        with pytest.raises(CredentialsError):
            await _call(caller, is_over=True)
    assert chain.runs == 1


class Failing(AioCredentials):
    """Keys of a caller's session that sign a number of requests and then can't be refreshed."""

    def __init__(self, error: Exception, signs: int) -> None:
        super().__init__(*KEYS)
        self._error = error
        self._signs = signs

    # The stub's base is the synchronous one.
    async def get_frozen_credentials(self) -> Any:  # type: ignore[override]
        """Return the keys, or raise."""
        if self._signs == 0:
            raise self._error
        self._signs -= 1
        return await super().get_frozen_credentials()


DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "AssumeRole")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DENIED, "AccessDenied.* when calling the AssumeRole operation"),
        (FileNotFoundError(2, "No such file", "helper"), "No such file: 'helper'"),
        (RuntimeError("still expired"), "still expired"),
        (TimeoutError("the vault is slow"), "the vault is slow"),
    ],
    ids=["sts", "process", "expired", "slow"],
)
async def test_keys_of_a_session_that_fail(
    ecr: LocalECR,
    transport: TransportName,
    error: Exception,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error of the keys of a caller's session becomes a CallError that keeps the answered."""
    session: Any = ecr.session()
    monkeypatch.setattr(session, "get_credentials", AsyncMock(return_value=Failing(error, signs=6)))
    digests = [f"sha256:{number:064x}" for number in range(1000)]
    async with client_of(ecr, session, transport=transport, max_concurrency=1) as client:
        with pytest.raises(CallError, match=words) as raised:
            await client.check_layers("app", digests)

    assert 0 < len(partial_of(raised.value)) < 1000
    assert raised.value.retryable is False
    assert isinstance(raised.value, CredentialsError) is (transport == "signed" or error is DENIED)


UNPRINTABLE = r"not valid: secret_key has a character that can't be printed, such as a newline"


async def test_unprintable_keys_of_a_chain() -> None:
    """Keys of the environment or a file are refused if they end with a newline, too."""
    credentials = SharedCredentials(Chain(AioCredentials("key", "secret\n")))
    with pytest.raises(CredentialsError, match=UNPRINTABLE):
        await credentials.ready()


async def test_unprintable_keys_after_a_refresh() -> None:
    """Refreshed keys are checked like the first ones, and the old ones stay."""
    credentials, found = await _refreshable()
    found.seconds_left, found.secret_key = -1.0, "secret\x00"
    with pytest.raises(CredentialsError, match=UNPRINTABLE):
        await credentials.ready()


@pytest.mark.parametrize("is_borrowed", [False, True], ids=["session", "client"])
async def test_unprintable_keys_of_the_caller(
    ecr: LocalECR, transport: TransportName, is_borrowed: bool
) -> None:
    """Keys of a caller's session or client are refused when the client opens."""
    session: Any = ecr.session()
    session.set_credentials("key", "secret\ud800")
    async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as borrowed:
        client = client_of(ecr, session, transport=transport)
        if is_borrowed:
            with pytest.warns(UserWarning, match="attempts multiply"):
                client = ECRLayerClient.from_client(borrowed)
        with pytest.raises(CredentialsError, match=UNPRINTABLE) as raised:
            await client.open()
    assert "secret\\ud800" not in captured_variables(raised.value)


async def test_refreshed_keys_of_the_caller(ecr: LocalECR, transport: TransportName) -> None:
    """Keys that a caller's session refreshes itself, such as those of a role, are used."""
    session: Any = ecr.session()
    expires = datetime.now(UTC) + timedelta(hours=1)
    refreshed: Any = AioRefreshableCredentials
    session._credentials = refreshed(*KEYS, None, expires, AsyncMock(), "role")
    async with client_of(ecr, session, transport=transport) as client:
        assert len(await client.check_layers("app", ["sha256:aa"])) == 1


async def test_keys_of_a_session_that_fail_when_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a session's chain while the client opens becomes a CredentialsError."""
    session = AioSession()
    monkeypatch.setattr(session, "get_credentials", AsyncMock(side_effect=DENIED))
    with pytest.raises(CredentialsError, match="AssumeRole"):
        await ECRLayerClient(region_name="eu-west-1", session=session).open()
