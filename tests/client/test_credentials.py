"""Credentials of the library's own sessions: found and refreshed once for all who ask, and renewed once when ECR refuses them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.credentials import AioCredentials
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError

from ecr_layer_client import ClientConfig, CredentialsError, Repository
from ecr_layer_client._caller import Caller, Operation
from ecr_layer_client._credentials import SharedCredentials
from ecr_layer_client._observing import Observed
from ecr_layer_client._ordinary import OrdinaryLane
from ecr_layer_client._turns import Turns
from ecr_layer_client._wire import OPERATION, Check

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

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
    """Credentials that are due for a refresh when told so; a refresh may fail."""

    def __init__(self) -> None:
        self.due = False
        self.refreshes = 0
        self.failing: Exception | None = None

    def refresh_needed(self) -> bool:
        """Say whether a refresh is due."""
        return self.due

    async def get_frozen_credentials(self) -> Any:
        """Return keys, refreshed first where that is due."""
        if self.due:
            self.refreshes += 1
            await asyncio.sleep(1)
            if self.failing is not None:
                raise self.failing
            self.due = False
        return "frozen"


def _keys(access_key: str = KEYS[0], secret_key: str = KEYS[1]) -> AioCredentials:
    return AioCredentials(access_key, secret_key)


async def _all(credentials: SharedCredentials, count: int = 100) -> list[Any]:
    return await asyncio.gather(*(credentials.get_frozen_credentials() for _ in range(count)), return_exceptions=True)


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
    with pytest.raises(TimeoutError):
        await credentials.get_frozen_credentials()
    with pytest.raises(CredentialRetrievalError, match="no answer within 60 s"):
        await credentials.get_frozen_credentials()
    assert asyncio.get_running_loop().time() == pytest.approx(60)


async def test_refreshed_once_for_all() -> None:
    """Credentials that are due are refreshed once for a hundred that ask at once."""
    found = Refreshable()
    credentials = SharedCredentials(Chain(found))
    await credentials.get_frozen_credentials()
    await asyncio.sleep(11)  # a refresh that is only advised is left alone for ten seconds
    found.due = True
    assert (set(await _all(credentials)), found.refreshes, credentials.generation) == ({"frozen"}, 1, 1)


async def test_a_refresh_that_fails_answers_all() -> None:
    """A refresh that fails is tried once for a hundred that ask at once, and again a second later."""
    found = Refreshable()
    credentials = SharedCredentials(Chain(found))
    await credentials.get_frozen_credentials()
    await asyncio.sleep(11)
    found.due, found.failing = True, CredentialRetrievalError(provider="x", error_msg="expired")
    errors = await _all(credentials)
    assert (found.refreshes, {type(error) for error in errors}) == (1, {CredentialRetrievalError})
    found.failing = None
    await asyncio.sleep(1.1)
    assert (await credentials.get_frozen_credentials(), found.refreshes) == ("frozen", 2)


async def test_renewed_once_for_all() -> None:
    """A hundred whose requests were refused run the chain again once, and each has something new to sign with."""
    chain = Chain(_keys("old"), _keys())
    credentials = SharedCredentials(chain)
    await credentials.get_frozen_credentials()
    renewed = await asyncio.gather(*(credentials.renew(1) for _ in range(100)))
    assert (chain.runs, credentials.generation, set(renewed)) == (2, 2, {True})


@asynccontextmanager
async def _lane(ecr: LocalECR, chain: Callable[[], Awaitable[Any]]) -> AsyncGenerator[tuple[Caller, SharedCredentials], None]:
    """Give a caller whose lane signs with what the chain finds, as one with a session of the library's own does."""
    shared = SharedCredentials(chain)
    session: Any = ecr.session()
    session._credentials = shared
    async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as client:
        lane = OrdinaryLane(client, ClientConfig(), session, credentials=shared)
        yield Caller(lane, Turns(OPERATION), (), ClientConfig(), Observed(None)), shared
        await lane.aclose()


async def _call(caller: Caller) -> int:
    settled = await caller.call(Check(Repository(name="app"), ["sha256:aa"]), Operation())
    return len(settled.outcomes)


async def test_refused_keys_are_renewed_once(ecr: LocalECR) -> None:
    """Calls that are refused for their keys share one run of the chain, are asked again once, and are answered."""
    ecr.seed("app", [])
    chain = Chain(_keys("unknown"), _keys())
    async with _lane(ecr, chain) as (caller, credentials):
        answers = await asyncio.gather(*(_call(caller) for _ in range(10)))
    assert (answers, chain.runs, credentials.generation, ecr.stats.requests) == ([1] * 10, 2, 2, 20)


async def test_keys_refused_again_are_final(ecr: LocalECR) -> None:
    """A call whose renewed keys are refused, too, fails; it is renewed no second time."""
    chain = Chain(_keys("unknown"))
    async with _lane(ecr, chain) as (caller, _):
        with pytest.raises(CredentialsError, match="renew the credentials"):
            await _call(caller)
    assert (chain.runs, ecr.stats.requests) == (2, 2)


async def test_nothing_to_sign_with(ecr: LocalECR) -> None:
    """A call without credentials fails before a request, and says what to do."""
    async with _lane(ecr, Chain(NoCredentialsError())) as (caller, _):
        with pytest.raises(CredentialsError, match="aws sso login"):
            await _call(caller)
    assert ecr.stats.requests == 0


async def test_nothing_new_to_sign_with(ecr: LocalECR) -> None:
    """A call that is refused and finds no credentials any more fails with the reason."""
    gone = CredentialRetrievalError(provider="x", error_msg="the helper is gone")
    async with _lane(ecr, Chain(_keys("unknown"), gone)) as (caller, _):
        with pytest.raises(CredentialsError, match="the helper is gone"):
            await _call(caller)
    assert ecr.stats.requests == 1


async def test_an_operation_that_is_over_renews_nothing(ecr: LocalECR) -> None:
    """When the operation has failed, a refused call is not asked again."""
    chain = Chain(_keys("unknown"))
    async with _lane(ecr, chain) as (caller, _):
        with pytest.raises(CredentialsError):
            await caller.call(Check(Repository(name="app"), ["sha256:aa"]), Operation(over=True))
    assert chain.runs == 1
