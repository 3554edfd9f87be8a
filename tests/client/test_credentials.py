"""Credentials of the library's own sessions: found and refreshed once for all who ask, and renewed once when ECR refuses them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest
from aiobotocore.credentials import AioCredentials
from aiobotocore.session import AioSession
from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError

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

KEYS = ("local-ecr-access-key", "local-ecr-secret-key")


class Chain:
    """A credential chain that counts its runs, takes a second for each, and gives what it is told to."""

    def __init__(self, *found: Any, takes: float = 1.0) -> None:
        self.runs = 0
        self._found = list(found)
        self._takes = takes

    async def __call__(self) -> Any:
        """Run; the last thing to give is given from then on."""
        self.runs += 1
        await asyncio.sleep(self._takes)
        found = self._found.pop(0) if len(self._found) > 1 else self._found[0]
        if isinstance(found, Exception):
            raise found
        return found


class Refreshable:
    """Credentials that are left for as long as told.

    A refresh takes a second or what it is told to, and may fail.
    """

    def __init__(self) -> None:
        self.left = 3600.0
        self.refreshes = 0
        self.takes = 1.0
        self.failing: Exception | None = None

    def refresh_needed(self, refresh_in: int | None = None) -> bool:
        """Say whether they end within so many seconds, as botocore's do."""
        return self.left < (900 if refresh_in is None else refresh_in)

    async def get_frozen_credentials(self) -> Any:
        """Return keys, refreshed first where that is due."""
        if self.refresh_needed():
            self.refreshes += 1
            await asyncio.sleep(self.takes)
            if self.failing is not None:
                raise self.failing
            self.left = 3600.0
        return f"keys {self.refreshes}"


def _keys(access_key: str = KEYS[0], secret_key: str = KEYS[1]) -> AioCredentials:
    return AioCredentials(access_key, secret_key)


async def _all(credentials: SharedCredentials, count: int = 100) -> list[Any]:
    return await asyncio.gather(
        *(credentials.get_frozen_credentials() for _ in range(count)), return_exceptions=True
    )


async def test_found_once_for_all() -> None:
    """A hundred that ask at once run the chain once."""
    chain = Chain(_keys())
    found = await _all(SharedCredentials(chain))
    assert (chain.runs, {keys.access_key for keys in found}) == (1, {KEYS[0]})


async def test_a_failure_answers_all() -> None:
    """A chain that fails is run once for a hundred that ask at once, and each gets its words."""
    chain = Chain(CredentialRetrievalError(provider="x", error_msg="the helper is gone"))
    errors = await _all(SharedCredentials(chain))
    assert (chain.runs, {"the helper is gone" in str(error) for error in errors}) == (1, {True})


async def test_a_failure_is_forgotten() -> None:
    """A second after a failure the chain is run again."""
    chain = Chain(NoCredentialsError(), _keys())
    credentials = SharedCredentials(chain)
    with pytest.raises(NoCredentialsError):
        await credentials.get_frozen_credentials()
    with pytest.raises(CredentialRetrievalError):
        await credentials.get_frozen_credentials()
    await asyncio.sleep(1.1)
    assert (await credentials.get_frozen_credentials()).access_key == KEYS[0]


async def test_a_chain_that_finds_nothing() -> None:
    """A chain that finds nothing is an error."""
    with pytest.raises(NoCredentialsError):
        await SharedCredentials(Chain(None)).get_frozen_credentials()


async def test_a_chain_that_hangs() -> None:
    """Finding credentials ends after 60 seconds, and the next who ask are told why."""
    credentials = SharedCredentials(Chain(_keys(), takes=3600))
    for _ in range(2):
        with pytest.raises(CredentialRetrievalError, match="no response within 60 s"):
            await credentials.get_frozen_credentials()
    assert asyncio.get_running_loop().time() == pytest.approx(60)


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError(2, "No such file or directory", "helper"), RuntimeError("still expired")],
)
async def test_a_chain_that_raises_anything(error: Exception) -> None:
    """Whatever a chain raises is told as botocore's own error, with its words."""
    with pytest.raises(CredentialRetrievalError, match=str(error).replace("[", r"\[")) as raised:
        await SharedCredentials(Chain(error)).get_frozen_credentials()
    assert raised.value.__cause__ is error


async def _refreshable() -> tuple[SharedCredentials, Refreshable]:
    """Return credentials whose first keys were used, and what they are made of."""
    found = Refreshable()
    credentials = SharedCredentials(Chain(found))
    await credentials.get_frozen_credentials()
    await asyncio.sleep(11)  # a refresh that is only advised is left alone for ten seconds
    return credentials, found


async def test_ended_keys_are_refreshed_once_for_all() -> None:
    """Keys that have ended are refreshed once for a hundred that ask at once, who wait for that."""
    credentials, found = await _refreshable()
    found.left = -1.0
    assert (set(await _all(credentials)), found.refreshes, credentials.generation) == (
        {"keys 1"},
        1,
        1,
    )


async def test_refreshed_ahead_once_for_all() -> None:
    """Keys that end soon sign on while they are refreshed, once for all; nobody waits."""
    credentials, found = await _refreshable()
    found.left = 600.0
    before = asyncio.get_running_loop().time()
    first = set(await _all(credentials))
    assert (first, asyncio.get_running_loop().time()) == ({"keys 0"}, before)
    await asyncio.sleep(1.1)
    assert (set(await _all(credentials)), found.refreshes) == ({"keys 1"}, 1)


@pytest.mark.parametrize(
    "trouble", [ConnectionError("the metadata service is away"), None], ids=["fails", "hangs"]
)
async def test_a_refresh_ahead_that_fails(
    trouble: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A refresh ahead that fails or hangs is logged and tried again ten seconds later.

    Meanwhile the keys that hold sign on.
    """
    credentials, found = await _refreshable()
    found.left, found.takes, found.failing = 600.0, 1.0 if trouble else 3600.0, trouble
    lasts = 1.0 if trouble else 60.0
    assert set(await _all(credentials)) == {"keys 0"}
    await asyncio.sleep(lasts + 9.0)
    assert (set(await _all(credentials)), found.refreshes) == ({"keys 0"}, 1)
    words = str(trouble) if trouble else "no response within 60 s"
    assert [words in record.getMessage() for record in caplog.records] == [True]
    found.takes, found.failing = 1.0, None
    await asyncio.sleep(1.1)
    assert set(await _all(credentials)) == {"keys 0"}
    await asyncio.sleep(1.1)
    assert (set(await _all(credentials)), found.refreshes) == ({"keys 2"}, 2)


async def test_a_renewal_during_a_refresh_ahead() -> None:
    """Keys that are renewed because they were refused are not overwritten by a refresh of the old ones."""
    found = Refreshable()
    credentials = SharedCredentials(Chain(found, _keys()))
    await credentials.get_frozen_credentials()
    await asyncio.sleep(11)
    found.left, found.takes = 600.0, 5.0
    await credentials.get_frozen_credentials()
    await credentials.renew(1)
    await asyncio.sleep(6)
    assert ((await credentials.get_frozen_credentials()).access_key, found.refreshes) == (
        KEYS[0],
        1,
    )


async def test_a_refresh_ahead_ends_with_its_clients() -> None:
    """Closing ends a refresh that is under way."""
    credentials, found = await _refreshable()
    found.left, found.takes = 600.0, 3600.0
    await credentials.get_frozen_credentials()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 2
    await credentials.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await credentials.aclose()


async def test_a_refresh_that_fails_answers_all() -> None:
    """A refresh of ended keys that fails is tried once for a hundred that ask at once, and again a second later."""
    credentials, found = await _refreshable()
    found.left, found.failing = -1.0, CredentialRetrievalError(provider="x", error_msg="expired")
    errors = await _all(credentials)
    assert (found.refreshes, {type(error) for error in errors}) == (1, {CredentialRetrievalError})
    found.failing = None
    await asyncio.sleep(1.1)
    assert (await credentials.get_frozen_credentials(), found.refreshes) == ("keys 2", 2)


async def test_renewed_once_for_all() -> None:
    """A hundred whose requests were refused run the chain again once, and each has something new to sign with."""
    chain = Chain(_keys("old"), _keys())
    credentials = SharedCredentials(chain)
    await credentials.get_frozen_credentials()
    renewed = await asyncio.gather(*(credentials.renew(1) for _ in range(100)))
    assert (chain.runs, credentials.generation, set(renewed)) == (2, 2, {True})


@asynccontextmanager
async def _caller(
    ecr: LocalECR, chain: Callable[[], Awaitable[Any]]
) -> AsyncGenerator[tuple[Caller, SharedCredentials], None]:
    """Give a caller whose transport signs with what the chain finds, as one with a session of the library's own does."""
    shared = SharedCredentials(chain)
    session: Any = ecr.session()
    session._credentials = shared
    async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as client:
        reader = ResponseReader(
            ecr.region, ClientConfig().max_response_bytes, owns_credentials=True
        )
        transport = ClientMethodTransport(client, reader)
        slots = asyncio.Semaphore(10)
        resources = Resources(transport, ecr.region, shared, RateLimiter(), slots)
        yield Caller(resources, ClientConfig(), SafeObserver(None)), shared
        await transport.aclose()


async def _call(caller: Caller) -> int:
    settled = await caller.call(Check(Repository(name="app"), ["sha256:aa"]), OperationState())
    return len(settled.outcomes)


async def test_refused_keys_are_renewed_once(ecr: LocalECR) -> None:
    """Calls that are refused for their keys share one run of the chain, are asked again once, and are answered."""
    ecr.seed("app", [])
    chain = Chain(_keys("unknown"), _keys())
    async with _caller(ecr, chain) as (caller, credentials):
        answers = await asyncio.gather(*(_call(caller) for _ in range(10)))
    assert (answers, chain.runs, credentials.generation, ecr.stats.requests) == ([1] * 10, 2, 2, 20)


async def test_keys_refused_again_are_final(ecr: LocalECR) -> None:
    """A call whose renewed keys are refused, too, fails; it is renewed no second time."""
    chain = Chain(_keys("unknown"))
    async with _caller(ecr, chain) as (caller, _):
        with pytest.raises(CredentialsError, match="renew the credentials"):
            await _call(caller)
    assert (chain.runs, ecr.stats.requests) == (2, 2)


async def test_nothing_to_sign_with(ecr: LocalECR) -> None:
    """A call without credentials fails before a request, and says what to do."""
    async with _caller(ecr, Chain(NoCredentialsError())) as (caller, _):
        with pytest.raises(CredentialsError, match="aws sso login"):
            await _call(caller)
    assert ecr.stats.requests == 0


async def test_nothing_new_to_sign_with(ecr: LocalECR) -> None:
    """A call that is refused and finds no credentials any more fails with the reason."""
    gone = CredentialRetrievalError(provider="x", error_msg="the helper is gone")
    async with _caller(ecr, Chain(_keys("unknown"), gone)) as (caller, _):
        with pytest.raises(CredentialsError, match="the helper is gone"):
            await _call(caller)
    assert ecr.stats.requests == 1


async def test_an_operation_that_is_over_renews_nothing(ecr: LocalECR) -> None:
    """When the operation has failed, a refused call is not asked again."""
    chain = Chain(_keys("unknown"))
    async with _caller(ecr, chain) as (caller, _):
        with pytest.raises(CredentialsError):
            await caller.call(
                Check(Repository(name="app"), ["sha256:aa"]), OperationState(is_over=True)
            )
    assert chain.runs == 1


class Failing(AioCredentials):
    """Keys of a caller's session that sign a number of requests, and then can't be refreshed."""

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
TROUBLES = [
    pytest.param(DENIED, "AccessDenied.* when calling the AssumeRole operation", id="sts"),
    pytest.param(
        FileNotFoundError(2, "No such file", "helper"), "No such file: 'helper'", id="process"
    ),
    pytest.param(RuntimeError("still expired"), "still expired", id="expired"),
    pytest.param(TimeoutError("the vault is slow"), "the vault is slow", id="slow"),
]


@pytest.mark.parametrize(("error", "words"), TROUBLES)
async def test_keys_of_a_session_that_fail(
    ecr: LocalECR,
    transport: TransportName,
    error: Exception,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the credentials of a caller's session raise is told as one of our errors, which keeps what was answered."""
    ecr.seed("app", [])
    session: Any = ecr.session()
    monkeypatch.setattr(session, "get_credentials", AsyncMock(return_value=Failing(error, signs=6)))
    digests = [f"sha256:{number:064x}" for number in range(1000)]
    options: dict[str, Any] = {
        "region_name": ecr.region,
        "endpoint_url": ecr.endpoint_url,
        "session": session,
    }
    async with ECRLayerClient(
        **options, config=ClientConfig(transport=transport, max_concurrency=1)
    ) as client:
        with pytest.raises(CallError, match=words) as raised:
            await client.check_layers("app", digests)
    assert raised.value.partial is not None
    assert (0 < len(raised.value.partial.outcomes) < 1000, raised.value.retryable) == (True, False)
    assert isinstance(raised.value, CredentialsError) is (transport == "signed" or error is DENIED)


async def test_keys_found_when_a_client_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a session's chain raises while the client is being opened is one of our errors, too."""

    async def refuse(*_: object) -> None:
        raise DENIED

    session = AioSession()
    monkeypatch.setattr(session, "get_credentials", refuse)
    with pytest.raises(CredentialsError, match="AssumeRole"):
        await ECRLayerClient(region_name="eu-west-1", session=session).open()
