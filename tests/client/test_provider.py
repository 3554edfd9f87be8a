"""`credentials=`: a caller's own provider of keys, called once for all callers, and in time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from client.chains import Chain, found_by_all
from client.steps import on_loopback
from ecr_layer_client import AWSKeys, CredentialsError, ECRLayerClient, InvalidInputError
from ecr_layer_client._transport.session import _credentials

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

HOUR = 3600.0
SECRET = "a secret that signs"  # noqa: S105 (nobody's)


def _keys(seconds: float, access_key: str = "key") -> AWSKeys:
    """Return keys that expire after so many seconds."""
    return AWSKeys(access_key, SECRET, "token", datetime.now(UTC) + timedelta(seconds=seconds))


class Provider(Chain):
    """A provider that takes a second. It gives keys that expire after so many seconds, if any."""

    async def __call__(self) -> Any:
        """Give the next keys, or whatever else comes next."""
        given = await super().__call__()
        return _keys(given, f"key-{self.runs}") if isinstance(given, float) else given


@pytest.mark.asyncio
async def test_keys_that_do_not_expire() -> None:
    """A provider whose keys do not expire is called once."""
    provider = Provider(AWSKeys("lasting", SECRET))
    credentials = _credentials(None, provider)
    for _ in range(3):
        assert await found_by_all(credentials) == {"lasting"}
        await asyncio.sleep(100 * HOUR)
    assert provider.runs == 1


@pytest.mark.asyncio
async def test_renewed_ahead() -> None:
    """Keys are renewed five minutes before they expire, once for all, and are used meanwhile."""
    provider = Provider(HOUR)
    credentials = _credentials(None, provider)
    seen: list[set[str]] = []
    for pause in (0.0, HOUR - 310, 10.0, 1.1):
        await asyncio.sleep(pause)
        seen.append(await found_by_all(credentials))
    assert (seen, provider.runs) == ([{"key-1"}, {"key-1"}, {"key-1"}, {"key-2"}], 2)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("provider", "words"),
    [
        (Provider(LookupError("the vault is shut")), "LookupError: the vault is shut"),
        (Provider({"AccessKeyId": "x"}), "it returned a dict, not AWSKeys"),
        (Provider(-60.0), "it returned keys that expired 6"),
        (Provider(HOUR, takes=100.0), "no response within 60 s"),
        (
            lambda: AWSKeys("key", SECRET),
            "TypeError: object AWSKeys can't be used in 'await' expression",
        ),
    ],
    ids=["raises", "other-type", "expired", "hangs", "not-async"],
)
async def test_no_keys(provider: Any, words: str) -> None:
    """A provider without valid keys is an error that says why, without a secret."""
    with pytest.raises(CredentialsError) as raised:
        await _credentials(None, provider).get_frozen_credentials()
    assert (words in str(raised.value), SECRET in str(raised.value)) == (True, False)


MALFORMED_KEYS: list[Any] = [
    {"access_key": ""},
    {"access_key": None},
    {"secret_key": ""},
    {"secret_key": b"secret"},
    {"token": ""},
    {"expires": datetime(2030, 1, 1)},  # noqa: DTZ001 (this is what is refused)
    {"expires": "2030-01-01"},
]


@pytest.mark.parametrize("parts", MALFORMED_KEYS, ids=lambda parts: next(iter(parts)))
def test_malformed_keys(parts: dict[str, Any]) -> None:
    """Keys that cannot sign are refused when they are made, without a secret in the message."""
    given: dict[str, Any] = {"access_key": "key", "secret_key": SECRET} | parts
    with pytest.raises(InvalidInputError, match=f"AWSKeys {next(iter(parts))}") as raised:
        AWSKeys(**given)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("name", ["access_key", "secret_key", "token"])
@pytest.mark.parametrize("odd", ["\n", "\x00", "\x1b", "\ud800", "\x7f", "\u2028"], ids=ascii)
def test_unprintable_keys(name: str, odd: str) -> None:
    """A key with a control character or a lone surrogate is refused where it is given."""
    given: dict[str, Any] = {"access_key": "key", "secret_key": SECRET, "token": "token"}
    given[name] += odd
    with pytest.raises(CredentialsError, match=f"not valid: {name} has a character") as raised:
        AWSKeys(**given)
    assert SECRET not in str(raised.value)


def test_no_secret_in_a_repr() -> None:
    """The repr of keys shows when they expire, and nothing else."""
    end = datetime(2030, 1, 1, tzinfo=UTC)
    assert repr(AWSKeys("key", SECRET, "token", end)) == f"AWSKeys(expires={end!r})"


def _client(ecr: LocalECR, provider: Any) -> ECRLayerClient:
    ecr.add_key("key", SECRET, "token")
    return ECRLayerClient(
        region_name=ecr.region, endpoint_url=ecr.endpoint_url, credentials=provider
    )


@pytest.mark.usefixtures("no_aws_environment")
@pytest.mark.parametrize(("is_expired", "runs"), [(False, 1), (True, 2)], ids=["valid", "expired"])
def test_signs_with_them(is_expired: bool, runs: int) -> None:
    """Requests are signed with the provider's keys, and with new ones when ECR refuses those."""
    provider = Provider(_keys(HOUR), _keys(HOUR, "another"), takes=0)

    async def check(ecr: LocalECR) -> tuple[str, ...]:
        async with _client(ecr, provider) as client:
            await client.check_layers("app", ["sha256:aa"])
            if is_expired:
                ecr.expire("key")
                ecr.add_key("another", SECRET, "token")
            return (await client.check_layers("app", ["sha256:aa"])).available

    assert (on_loopback(check), provider.runs) == (("sha256:aa",), runs)


@pytest.mark.usefixtures("no_aws_environment")
def test_a_provider_that_fails() -> None:
    """A provider that fails is a CredentialsError, caused by what the provider raised."""
    error = LookupError("the vault is shut")
    words = (
        "the provider passed as credentials= did not return valid AWS keys: 'LookupError: the vault"
    )

    async def check(ecr: LocalECR) -> BaseException:
        async with _client(ecr, Provider(error, takes=0)) as client:
            with pytest.raises(CredentialsError, match=words) as raised:
                await client.check_layers("app", ["sha256:aa"])
            return raised.value

    cause = on_loopback(check).__cause__
    assert cause is not None
    assert cause.__cause__ is error


@pytest.mark.usefixtures("no_aws_environment")
def test_one_provider_is_one_account() -> None:
    """Clients with one provider share its keys and rate limiter; another provider has its own."""
    provider = Provider(_keys(HOUR), takes=0)

    async def check(ecr: LocalECR) -> list[bool]:
        other = Provider(_keys(HOUR), takes=0)
        async with (
            _client(ecr, provider) as one,
            _client(ecr, provider) as two,
            _client(ecr, other) as three,
        ):
            limiters: list[object] = []
            for client in (one, two, three):
                await client.check_layers("app", ["sha256:aa"])
                (resources,) = client._connection._resources.values()
                limiters.append(resources.rate_limiter)
            return [limiter is limiters[0] for limiter in limiters]

    assert (on_loopback(check), provider.runs) == ([True, True, False], 1)


class Vault:
    """An object that cannot be hashed and gives keys, by a method or when it is called."""

    __hash__ = None  # type: ignore[assignment]  # as in a dataclass

    def __init__(self) -> None:
        self.calls = 0

    async def keys(self) -> AWSKeys:
        """Give keys."""
        self.calls += 1
        return _keys(HOUR)

    __call__ = keys


@pytest.mark.usefixtures("no_aws_environment")
@pytest.mark.parametrize("is_method", [True, False], ids=["method", "unhashable"])
def test_a_provider_given_twice(is_method: bool) -> None:
    """A method of one object is one provider each time, and so is an object without a hash."""
    vault = Vault()

    async def check(ecr: LocalECR) -> int:
        providers = [vault.keys if is_method else vault for _ in range(2)]
        async with _client(ecr, providers[0]) as one, _client(ecr, providers[1]) as two:
            for client in (one, two):
                await client.check_layers("app", ["sha256:aa"])
        return vault.calls

    assert on_loopback(check) == 1


def test_another_region_keeps_it() -> None:
    """A client of another Region has the same provider."""
    provider = Provider(HOUR)
    client = ECRLayerClient(region_name="eu-west-1", credentials=provider).for_region("us-east-1")
    assert client._connection.options.credentials is provider
