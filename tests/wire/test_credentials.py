"""Credentials that the library's own session finds: in the environment, profiles and processes.

Concurrent calls share them, and renew them once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from ecr_layer_client import (
    ClientConfig,
    ClockSkewError,
    CredentialsError,
    ECRLayerClient,
    RetryPolicy,
    ServerError,
)
from ecr_layer_client._transport import credentials as shared_credentials

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ecr_layer_client.local import LocalECR
    from transports import OwnClient

pytestmark = pytest.mark.asyncio

CALLERS = 100
CHECK = "BatchCheckLayerAvailability"
REVOKED = {"expire": "ExpiredTokenException", "remove_key": "UnrecognizedClientException"}


@pytest.fixture
def use_keys(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that puts a temporary key, known to the registry, in the environment."""

    def use(name: str) -> None:
        ecr.add_key(name, "secret", f"{name}-token")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", name)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_SESSION_TOKEN", f"{name}-token")

    return use


@pytest.fixture
def first_keys(use_keys: Callable[[str], None]) -> None:
    """Put a temporary key, known to the registry, in the environment."""
    use_keys("first")


class Process:
    """A `credential_process` that counts its runs, and prints keys or fails, as scripted."""

    def __init__(self, folder: Path) -> None:
        self._runs = folder / "runs"
        self._outputs = folder / "outputs.json"
        self._runs.touch()

        script = folder / "process.py"
        script.write_text(
            "import json, pathlib, sys\n"
            f"runs = pathlib.Path({str(self._runs)!r})\n"
            f"outputs = json.loads(pathlib.Path({str(self._outputs)!r}).read_text())\n"
            "with runs.open('a') as file:\n"
            "    file.write('x')\n"
            "output = outputs[min(runs.stat().st_size, len(outputs)) - 1]\n"
            "sys.exit('the vault is sealed') if output is None else print(json.dumps(output))\n"
        )
        (folder / "config").write_text(
            f'[default]\ncredential_process = "{sys.executable}" "{script}"\n'
        )

    def prints(self, *outputs: dict[str, object] | None) -> None:
        """Set the output of each run; the last one is for all later runs, and None fails a run."""
        self._outputs.write_text(json.dumps(outputs))

    @property
    def runs(self) -> int:
        """Return the number of runs."""
        return self._runs.stat().st_size


@pytest.fixture
def process(tmp_path: Path) -> Process:
    """Return a process that the default profile names."""
    return Process(tmp_path)


def keys(name: str, minutes: float) -> dict[str, object]:
    """Return the output of a process: keys that expire in some minutes."""
    expires = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    return {
        "Version": 1,
        "AccessKeyId": name,
        "SecretAccessKey": "secret",
        "SessionToken": f"{name}-token",
        "Expiration": expires,
    }


@pytest.mark.parametrize("by", ["argument", "AWS_PROFILE"])
async def test_keys_of_a_profile(
    own_client: OwnClient,
    seeded: LocalECR,
    digests: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
) -> None:
    """The keys of a profile, named by argument or environment, sign the requests."""
    seeded.add_key("of-profile", "secret")
    text = "[work]\naws_access_key_id = of-profile\naws_secret_access_key = secret\n"
    (tmp_path / "credentials").write_text(text)
    if by == "AWS_PROFILE":
        monkeypatch.setenv(by, "work")

    profile_name = "work" if by == "argument" else None
    async with own_client(seeded.endpoint_url, profile_name=profile_name) as client:
        assert (await client.check_layers("app", digests)).available == tuple(digests[::2])


async def test_no_keys(own_client: OwnClient, ecr: LocalECR, digests: list[str]) -> None:
    """Without credentials, a check sends no request, and its error says what to do."""
    async with own_client(ecr.endpoint_url) as client:
        with pytest.raises(
            CredentialsError, match="found no usable AWS credentials: set AWS_ACCESS_KEY_ID"
        ):
            await client.check_layers("app", digests)
    assert ecr.stats.requests == 0


async def test_a_process_is_run_once(
    own_client: OwnClient, seeded: LocalECR, digests: list[str], process: Process
) -> None:
    """A hundred concurrent calls of two clients run the credential process once."""
    seeded.add_key("first", "secret", "first-token")
    process.prints(keys("first", 60))

    async with own_client(seeded.endpoint_url) as one, own_client(seeded.endpoint_url) as two:
        calls = [each.check_layers("app", digests[:1]) for each in (one, two) for _ in range(50)]
        await asyncio.gather(*calls)
    assert (process.runs, seeded.stats.requests) == (1, CALLERS)


@pytest.mark.parametrize(
    ("minutes", "is_refreshed"),
    [(1, True), (12, True), (12, False)],
    ids=["must-be-refreshed", "may-be-refreshed", "refresh-fails"],
)
async def test_expiring_keys_are_refreshed_once(
    own_client: OwnClient,
    seeded: LocalECR,
    digests: list[str],
    process: Process,
    minutes: float,
    *,
    is_refreshed: bool,
) -> None:
    """A hundred concurrent calls refresh expiring keys once; valid ones sign if that fails."""
    for name in ("first", "second"):
        seeded.add_key(name, "secret", f"{name}-token")
    process.prints(keys("first", minutes), keys("second", 60) if is_refreshed else None)

    async with own_client(seeded.endpoint_url) as client:
        calls = [client.check_layers("app", digests[:2]) for _ in range(CALLERS)]
        available = {result.available for result in await asyncio.gather(*calls)}
    assert (process.runs, available, seeded.stats.requests) == (2, {(digests[0],)}, CALLERS)


@pytest.mark.parametrize("is_refresh", [False, True], ids=["first", "refresh"])
async def test_a_failing_process_is_run_once(
    own_client: OwnClient,
    ecr: LocalECR,
    digests: list[str],
    process: Process,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_refresh: bool,
) -> None:
    """A hundred concurrent calls run a failing process once, and each raises its message."""
    process.prints(*([keys("first", -1)] if is_refresh else []), None)
    # On a busy machine, a hundred calls may take more than the usual second.
    monkeypatch.setattr(shared_credentials, "_FAILURE_REMEMBERED_SECONDS", 60.0)

    async with own_client(ecr.endpoint_url) as client:
        calls = [client.check_layers("app", digests[:1]) for _ in range(CALLERS)]
        found = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(each) for each in found} == {CredentialsError}
    assert (process.runs, ecr.stats.requests) == (2 if is_refresh else 1, 0)
    if not is_refresh:
        assert {"the vault is sealed" in str(each) for each in found} == {True}


@pytest.mark.parametrize("revoke", REVOKED)
async def test_revoked_keys_are_renewed_once(
    own_client: OwnClient, seeded: LocalECR, digests: list[str], process: Process, revoke: str
) -> None:
    """When AWS rejects keys, all calls share one renewal, and each is sent again once."""
    for name in ("first", "second"):
        seeded.add_key(name, "secret", f"{name}-token")
    process.prints(keys("first", 60), keys("second", 60))

    async with own_client(seeded.endpoint_url, batch_size=10) as client:
        await client.check_layers("app", digests[:1])
        getattr(seeded, revoke)("first")
        seeded.stats.reset()
        result = await client.check_layers("app", digests)
    assert (result.available, process.runs) == (tuple(digests[::2]), 2)
    counted = seeded.stats.by_operation[CHECK]
    assert counted == {"ok": 25, REVOKED[revoke]: counted[REVOKED[revoke]]}
    assert counted[REVOKED[revoke]] <= 10


@pytest.mark.parametrize("revoke", REVOKED)
async def test_revoked_keys_of_the_environment(
    own_client: OwnClient,
    seeded: LocalECR,
    digests: list[str],
    use_keys: Callable[[str], None],
    revoke: str,
) -> None:
    """New keys in the environment replace rejected ones, although botocore reads it only once."""
    use_keys("first")
    async with own_client(seeded.endpoint_url) as client:
        await client.check_layers("app", digests[:1])
        use_keys("second")
        getattr(seeded, revoke)("first")
        seeded.stats.reset()
        assert len(await client.check_layers("app", digests[:1])) == 1
    assert seeded.stats.by_operation[CHECK] == {REVOKED[revoke]: 1, "ok": 1}


@pytest.mark.parametrize("revoke", REVOKED)
async def test_no_better_keys(
    own_client: OwnClient,
    ecr: LocalECR,
    digests: list[str],
    use_keys: Callable[[str], None],
    revoke: str,
) -> None:
    """When AWS rejects the renewed keys, too, the call fails, and its error says what to do."""
    use_keys("first")
    getattr(ecr, revoke)("first")
    async with own_client(ecr.endpoint_url) as client:
        with pytest.raises(CredentialsError, match="renew the credentials") as raised:
            await client.check_layers("app", digests[:1])
    assert (raised.value.retryable, raised.value.attempts) == (False, 2)
    assert ecr.stats.by_operation[CHECK] == {REVOKED[revoke]: 2}


@pytest.mark.parametrize("brought", ["session", "client"])
async def test_keys_of_the_callers_own(
    ecr: LocalECR, digests: list[str], use_keys: Callable[[str], None], brought: str
) -> None:
    """Expired keys of a caller's session or client are an error that tells the caller to renew."""
    use_keys("first")
    ecr.expire("first")
    session: Any = AioSession()
    where: dict[str, Any] = {"region_name": ecr.region, "endpoint_url": ecr.endpoint_url}
    config = AioConfig(retries={"total_max_attempts": 1})
    message = "renew the credentials of your session or client"

    async with session.create_client("ecr", **where, config=config) as borrowed:
        ours = (
            ECRLayerClient(**where, session=session)
            if brought == "session"
            else ECRLayerClient.from_client(borrowed)
        )
        async with ours as client:
            with pytest.raises(CredentialsError, match=message):
                await client.check_layers("app", digests[:1])
    assert ecr.stats.by_operation[CHECK] == {"ExpiredTokenException": 1}


@pytest.mark.parametrize("brought", ["nothing", "session"])
@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
@pytest.mark.usefixtures("first_keys")
async def test_botocores_retries_stay_off(
    ecr: LocalECR, digests: list[str], monkeypatch: pytest.MonkeyPatch, mode: str, brought: str
) -> None:
    """AWS_RETRY_MODE and AWS_MAX_ATTEMPTS add no request to those of our retry policy."""
    monkeypatch.setenv("AWS_RETRY_MODE", mode)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "10")
    ecr.faults.add(status=500)

    config = ClientConfig(retry=RetryPolicy(max_attempts=2, initial_backoff=0.001))
    session = AioSession() if brought == "session" else None
    async with ECRLayerClient(
        region_name=ecr.region, endpoint_url=ecr.endpoint_url, session=session, config=config
    ) as client:
        with pytest.raises(ServerError):
            await client.check_layers("app", digests[:1])

    assert ecr.stats.requests == 2


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL"])
@pytest.mark.usefixtures("first_keys")
async def test_an_endpoint_of_the_environment(
    seeded: LocalECR,
    digests: list[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """The client sends its requests to the endpoint that the environment names."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", seeded.region)
    monkeypatch.setenv(name, seeded.endpoint_url)
    async with ECRLayerClient() as client:
        assert (await client.check_layers("app", digests)).available == tuple(digests[::2])


@pytest.mark.parametrize(("skew", "word"), [(3600.0, "behind"), (-3600.0, "ahead")])
@pytest.mark.usefixtures("first_keys")
async def test_clock_skew(
    own_client: OwnClient, ecr: LocalECR, digests: list[str], skew: float, word: str
) -> None:
    """If the clock is off by an hour, the error says so after one request, with the seconds."""
    ecr.clock_skew = skew
    message = rf"this machine's clock is wrong by \d+ s \({word}\): set the clock"

    async with own_client(ecr.endpoint_url) as client:
        with pytest.raises(ClockSkewError, match=message) as raised:
            await client.check_layers("app", digests[:1])

    assert raised.value.skew == pytest.approx(-skew, abs=5)
    assert ecr.stats.requests == 1
