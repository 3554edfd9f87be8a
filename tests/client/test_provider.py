"""`credentials=`: a caller's own provider of keys, asked once for all, ahead of their expiry, and again when ECR refuses them."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import CredentialRetrievalError

from ecr_layer_client import AWSKeys, CredentialsError, ECRLayerClient, InvalidInputError
from ecr_layer_client._transport.credentials import ProvidedKeys, SharedCredentials
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HOUR = 3600.0
SECRET = "a secret that signs"  # noqa: S105 (of nobody)


class Provider:
    """Counts how often it is asked, takes a second each time, and gives what it is told to."""

    def __init__(self, *given: Any, takes: float = 1.0) -> None:
        self.asked = 0
        self._given = list(given)
        self._takes = takes

    async def __call__(self) -> AWSKeys:
        """Give the next.

        The last is given from then on. A number is keys that end in so many seconds.
        """
        self.asked += 1
        await asyncio.sleep(self._takes)
        given = self._given.pop(0) if len(self._given) > 1 else self._given[0]
        if isinstance(given, Exception):
            raise given
        return _keys(given, f"key-{self.asked}") if isinstance(given, float) else given


def _keys(seconds: float, access_key: str = "key") -> AWSKeys:
    return AWSKeys(access_key, SECRET, "token", datetime.now(UTC) + timedelta(seconds=seconds))


def _shared(provider: Any) -> SharedCredentials:
    return SharedCredentials(lambda: ProvidedKeys.of(provider), limit=None)


async def _all(credentials: SharedCredentials, count: int = 100) -> set[str]:
    """Return what a hundred that ask at once get: the key's id, or the error's words."""
    found = await asyncio.gather(
        *(credentials.get_frozen_credentials() for _ in range(count)), return_exceptions=True
    )
    return {str(keys) if isinstance(keys, BaseException) else keys.access_key for keys in found}


@pytest.mark.asyncio
async def test_asked_once_for_all() -> None:
    """A hundred that ask at once ask the provider once."""
    provider = Provider(HOUR)
    assert (await _all(_shared(provider)), provider.asked) == ({"key-1"}, 1)


@pytest.mark.asyncio
async def test_keys_without_an_end() -> None:
    """Keys that do not end are asked for once."""
    provider = Provider(AWSKeys("lasting", SECRET))
    credentials = _shared(provider)
    for _ in range(3):
        assert await _all(credentials) == {"lasting"}
        await asyncio.sleep(100 * HOUR)
    assert provider.asked == 1


@pytest.mark.asyncio
async def test_renewed_ahead() -> None:
    """Keys are renewed five minutes ahead of their end, once for all, and not before.

    Meanwhile they sign on.
    """
    provider = Provider(HOUR)
    credentials = _shared(provider)
    seen = [await _all(credentials)]
    await asyncio.sleep(HOUR - 310)
    seen.append(await _all(credentials))
    await asyncio.sleep(10)
    seen.append(await _all(credentials))
    await asyncio.sleep(1.1)
    seen.append(await _all(credentials))
    assert (seen, provider.asked) == ([{"key-1"}, {"key-1"}, {"key-1"}, {"key-2"}], 2)


@pytest.mark.asyncio
async def test_a_renewal_ahead_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Keys that still hold outlive a renewal that fails, which is logged, and tried again ten seconds later."""
    provider = Provider(HOUR, LookupError("the vault is shut"), HOUR)
    credentials = _shared(provider)
    await _all(credentials)
    await asyncio.sleep(HOUR - 200)
    for _ in range(2):
        assert await _all(credentials) == {"key-1"}
        await asyncio.sleep(1.1)
    assert provider.asked == 2
    await asyncio.sleep(9)
    await _all(credentials)
    await asyncio.sleep(1.1)
    assert await _all(credentials) == {"key-3"}
    assert [
        "LookupError: the vault is shut" in record.getMessage() for record in caplog.records
    ] == [True]


@pytest.mark.asyncio
async def test_a_renewal_too_late() -> None:
    """When keys have ended and can't be renewed, all who ask are told, and the provider is not stormed."""
    provider = Provider(HOUR, LookupError("the vault is shut"))
    credentials = _shared(provider)
    await _all(credentials)
    await asyncio.sleep(HOUR)
    (words,) = await _all(credentials)
    assert ("LookupError: the vault is shut" in words, provider.asked) == (True, 2)
    await asyncio.sleep(1.1)
    await _all(credentials)
    assert provider.asked == 3


WRONG: list[Any] = [
    pytest.param(
        Provider(LookupError("the vault is shut")), "LookupError: the vault is shut", id="raises"
    ),
    pytest.param(
        Provider({"AccessKeyId": "x"}), "it returned a dict, not AWSKeys", id="other-type"
    ),
    pytest.param(Provider(-60.0), "it returned keys that expired 6", id="ended"),
    pytest.param(Provider(HOUR, takes=100.0), "no response within 60 s", id="hangs"),
    pytest.param(
        lambda: AWSKeys("key", SECRET),
        "TypeError: object AWSKeys can't be used in 'await' expression",
        id="not-async",
    ),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("provider", "words"), WRONG)
async def test_no_keys(provider: Any, words: str) -> None:
    """A provider that raises, hangs or gives something else gives no keys.

    The error says which, and no secret.
    """
    with pytest.raises(CredentialRetrievalError) as raised:
        await _shared(provider).get_frozen_credentials()
    assert (words in str(raised.value), SECRET in str(raised.value)) == (True, False)


KEYS: list[Any] = [
    {"access_key": ""},
    {"access_key": None},
    {"secret_key": ""},
    {"secret_key": b"secret"},
    {"token": ""},
    {"expires": datetime(2030, 1, 1)},  # noqa: DTZ001 (that is what is refused)
    {"expires": "2030-01-01"},
]


def _made(parts: dict[str, Any]) -> AWSKeys:
    return AWSKeys(**parts)


@pytest.mark.parametrize("parts", KEYS, ids=lambda parts: next(iter(parts)))
def test_refused_keys(parts: dict[str, Any]) -> None:
    """Keys that can't sign are refused when they are made, without a secret in the message."""
    with pytest.raises(InvalidInputError, match=f"AWSKeys {next(iter(parts))}") as raised:
        _made({"access_key": "key", "secret_key": SECRET} | parts)
    assert SECRET not in str(raised.value)


def test_no_secret_in_a_repr() -> None:
    """The repr of keys shows when they end, and nothing else."""
    end = datetime(2030, 1, 1, tzinfo=UTC)
    assert repr(AWSKeys("key", SECRET, "token", end)) == f"AWSKeys(expires={end!r})"


REFUSED: list[Any] = [
    (
        {"credentials": Provider(HOUR), "session": object()},
        "credentials= can't be used with session=",
    ),
    ({"credentials": AWSKeys("key", SECRET)}, "credentials=<AWSKeys> must be an async function"),
]


@pytest.mark.parametrize(("options", "match"), REFUSED, ids=["session", "keys"])
def test_refused(options: dict[str, Any], match: str) -> None:
    """A provider beside a session, and what can't be called, are refused."""
    options = options | (
        {"session": type("Session", (), {"create_client": None})()} if "session" in options else {}
    )
    with pytest.raises(InvalidInputError, match=match):
        ECRLayerClient(**options)


@pytest.fixture
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing of AWS in the environment."""
    for name in [
        name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")
    ]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)


def _on_loopback(check: Callable[[LocalECR], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with LocalECR() as ecr:
            ecr.seed("app", [("sha256:aa", 1)])
            ecr.add_key("key", SECRET, "token")
            return await check(ecr)

    return asyncio.run(run())


def _client(ecr: LocalECR, provider: Any) -> ECRLayerClient:
    return ECRLayerClient(
        region_name=ecr.region, endpoint_url=ecr.endpoint_url, credentials=provider
    )


@pytest.mark.usefixtures("_environment")
def test_signs_with_them() -> None:
    """Requests are signed with the provider's keys and token."""
    provider = Provider(_keys(HOUR), takes=0)

    async def check(ecr: LocalECR) -> tuple[str, ...]:
        async with _client(ecr, provider) as client:
            await client.check_layers("app", ["sha256:aa"])
            return (await client.check_layers("app", ["sha256:aa"])).available

    assert (_on_loopback(check), provider.asked) == (("sha256:aa",), 1)


@pytest.mark.usefixtures("_environment")
def test_keys_that_ecr_refuses() -> None:
    """When ECR takes the keys for expired, the provider is asked once more and the check goes on."""
    provider = Provider(_keys(HOUR), _keys(HOUR, "another"), takes=0)

    async def check(ecr: LocalECR) -> tuple[str, ...]:
        async with _client(ecr, provider) as client:
            await client.check_layers("app", ["sha256:aa"])
            ecr.expire("key")
            ecr.add_key("another", SECRET, "token")
            return (await client.check_layers("app", ["sha256:aa"])).available

    assert (_on_loopback(check), provider.asked) == (("sha256:aa",), 2)


@pytest.mark.usefixtures("_environment")
def test_a_provider_that_fails() -> None:
    """A provider that fails is a CredentialsError that says so, caused by what it raised."""
    error = LookupError("the vault is shut")

    async def check(ecr: LocalECR) -> BaseException:
        async with _client(ecr, Provider(error, takes=0)) as client:
            with pytest.raises(
                CredentialsError,
                match="the provider passed as credentials= did not return AWS keys: 'LookupError: the vault",
            ) as raised:
                await client.check_layers("app", ["sha256:aa"])
            return raised.value

    raised = _on_loopback(check)
    assert raised.__cause__.__cause__ is error


@pytest.mark.usefixtures("_environment")
def test_one_provider_is_one_account() -> None:
    """Clients with one provider share its keys and one line; other providers are other accounts."""
    provider = Provider(_keys(HOUR), takes=0)

    async def check(ecr: LocalECR) -> list[bool]:
        async with (
            _client(ecr, provider) as one,
            _client(ecr, provider) as two,
            _client(ecr, Provider(_keys(HOUR), takes=0)) as other,
        ):
            for client in (one, two, other):
                await client.check_layers("app", ["sha256:aa"])
            lines = [
                client._connection._resources["BatchCheckLayerAvailability"].rate_limiter
                for client in (one, two, other)
            ]
            return [line is lines[0] for line in lines]

    assert (_on_loopback(check), provider.asked) == ([True, True, False], 1)


class Vault:
    """Gives keys by a method; two are equal, and no value that a dict could have for a key."""

    __hash__ = None  # type: ignore[assignment]  # as a dataclass has it

    def __init__(self) -> None:
        self.asked = 0

    async def keys(self) -> AWSKeys:
        """Give keys."""
        self.asked += 1
        return _keys(HOUR)

    __call__ = keys


@pytest.mark.usefixtures("_environment")
@pytest.mark.parametrize("as_method", [True, False], ids=["method", "unhashable"])
def test_a_provider_named_twice(*, as_method: bool) -> None:
    """A method of one object is one provider each time it is named, and so is an object that can't be hashed."""
    vault = Vault()

    async def check(ecr: LocalECR) -> int:
        async with (
            _client(ecr, vault.keys if as_method else vault) as one,
            _client(ecr, vault.keys if as_method else vault) as two,
        ):
            for client in (one, two):
                await client.check_layers("app", ["sha256:aa"])
        return vault.asked

    assert _on_loopback(check) == 1


def test_another_region_keeps_it() -> None:
    """A client of another Region signs with the same provider's keys."""
    provider = Provider(HOUR)
    client = ECRLayerClient(region_name="eu-west-1", credentials=provider).for_region("us-east-1")
    assert client._connection.options.credentials is provider
