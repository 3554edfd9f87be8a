"""Opening, closing, views, other Regions, other event loops, forked children."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from client.steps import one_by_one, read
from ecr_layer_client import (
    ClientConfig,
    ClientStateError,
    ECRLayerClient,
    InvalidInputError,
    RetryPolicy,
)
from ecr_layer_client._transport import opening

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client._transport.opening import OpenedTransport
    from ecr_layer_client._transport.options import ConnectionOptions
    from ecr_layer_client.local import LocalECR

    Running = Callable[[ECRLayerClient], Coroutine[Any, Any, object]]

pytestmark = pytest.mark.asyncio


@pytest.fixture
def transport() -> TransportName:
    """Give one transport: how requests are sent does not matter here."""
    return "signed"


async def test_closing_twice(ecr: LocalECR) -> None:
    """Closing twice is safe, and so is closing a client that was never opened."""
    client = ecr.client()
    await client.aclose()
    await client.open()
    await client.aclose()
    await client.aclose()
    assert "not open" in repr(client)


async def test_opened_twice(ecr: LocalECR) -> None:
    """An open client cannot be opened again."""
    async with ecr.client() as client:
        with pytest.raises(ClientStateError, match="already open"):
            await client.open()


async def test_opened_without_asyncio(ecr: LocalECR) -> None:
    """A client that is not run by asyncio, but by trio for example, says what it needs."""

    def run_elsewhere() -> None:
        # trio, too, runs a coroutine without an asyncio loop.
        with pytest.raises(ClientStateError, match=r"needs asyncio, .* trio-asyncio's"):
            ecr.client().open().send(None)

    await asyncio.to_thread(run_elsewhere)


async def test_opened_again(ecr: LocalECR) -> None:
    """A client that is opened and closed by hand can be opened again."""
    client = await ecr.client().open()
    before = await client.check_layers("app", ["sha256:aa"])
    await client.aclose()
    async with client:
        assert await client.check_layers("app", ["sha256:aa"]) == before


@pytest.mark.parametrize("region", [None, ""], ids=["none", "empty"])
async def test_a_failed_opening(no_aws_environment: pytest.MonkeyPatch, region: str | None) -> None:
    """Without a Region, or with an empty variable, a client does not open, however often tried."""
    if region is not None:
        no_aws_environment.setenv("AWS_DEFAULT_REGION", region)
    client = ECRLayerClient()
    for _ in range(2):
        with pytest.raises(InvalidInputError, match="no AWS Region"):
            await client.open()


async def _check(client: ECRLayerClient) -> None:
    await client.check_layers("app", [])


async def _on_another_loop(doing: Callable[[], Awaitable[object]]) -> None:
    """Do something in a thread on an event loop of its own, where it is refused."""

    async def refused() -> None:
        with pytest.raises(ClientStateError, match="another event loop"):
            await doing()

    await asyncio.to_thread(lambda: asyncio.run(refused()))


@pytest.mark.parametrize("doing", [_check, ECRLayerClient.aclose], ids=["check", "close"])
async def test_on_another_loop(
    ecr: LocalECR, doing: Callable[[ECRLayerClient], Awaitable[object]]
) -> None:
    """A client refuses to check and to close on another event loop, and stays open."""
    async with ecr.client() as client:
        await _on_another_loop(partial(doing, client))
        assert repr(client).endswith(", open>")


async def test_without_a_loop(ecr: LocalECR) -> None:
    """A stream made in a thread without an event loop is refused with the same message."""
    async with ecr.client() as client:
        with pytest.raises(ClientStateError, match="another event loop"):
            await asyncio.to_thread(client.stream_layers, "app", [])


async def test_a_stream_on_another_loop(ecr: LocalECR, digests: list[str]) -> None:
    """A stream refuses to be entered, read or left on another event loop, and goes on."""
    async with ecr.client() as client:
        stream = client.stream_layers("app", digests)
        await _on_another_loop(stream.__aenter__)
        async with stream:
            given = [await anext(stream) for _ in range(100)]
            await _on_another_loop(stream.__anext__)
            await _on_another_loop(partial(stream.__aexit__, None, None, None))
            given += [outcome async for outcome in stream]
    assert len(given) == len(digests)


async def test_after_a_fork(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client refuses to check in a forked child."""
    async with ecr.client() as client:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)
            with pytest.raises(ClientStateError, match="forked"):
                await _check(client)


FORKED = """
import asyncio, os, sys
from ecr_layer_client import ClientStateError
from ecr_layer_client.local import LocalECR

async def refused(doing):
    try:
        await doing()
    except ClientStateError as error:
        assert "forked" in str(error), error
    else:
        raise AssertionError(doing)

async def main():
    digests = [f"sha256:{number:064x}" for number in range(250)]
    async with LocalECR(in_memory=True) as ecr, ecr.client() as client:
        ecr.seed("app", [])
        new = client.stream_layers("app", digests)
        async with client.stream_layers("app", digests) as stream:
            given = [await anext(stream) for _ in range(100)]
            leave = lambda: stream.__aexit__(None, None, None)
            child = os.fork()
            if child == 0:
                try:
                    for doing in (new.__aenter__, stream.__anext__, leave, client.aclose):
                        asyncio.run(refused(doing))
                    os._exit(0)
                finally:
                    os._exit(1)
            exit_code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print(exit_code, len([item async for item in stream]))

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
async def test_a_stream_after_a_fork() -> None:
    """A stream refuses everything in a forked child, and goes on in the parent."""
    script = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-c", FORKED, stdout=asyncio.subprocess.PIPE
    )
    stdout, _ = await script.communicate()
    assert stdout == b"0 150\n"


def _digests(size: int) -> list[str]:
    return [f"sha256:{number:064x}" for number in range(size)]


RUNNING: dict[str, tuple[Running, float]] = {
    "50": (lambda client: client.check_layers("app", _digests(50)), 0.02),
    "250": (lambda client: client.check_layers("app", _digests(250)), 0.02),
    "5000": (lambda client: client.check_layers("app", _digests(5000)), 0.02),
    "async-50": (lambda client: client.check_layers("app", one_by_one(_digests(50))), 0.02),
    "async-5000": (lambda client: client.check_layers("app", one_by_one(_digests(5000))), 0.02),
    "endless": (lambda client: read(client.stream_layers("app", map("a:{:x}".format, count()))), 1),
    "many": (lambda client: client.check_many({"app": _digests(250)}), 0.02),
    "pause": (lambda client: client.wait_until_available("app", _digests(1), timeout=600), 5.0),
    "single": (lambda client: client.check_layer("app", "sha256:aa"), 0.02),
    "gathering": (
        lambda client: client.with_config(coalesce_window=60).check_layer("app", "sha256:aa"),
        1.0,
    ),
}


@pytest.mark.parametrize(("running", "seconds"), RUNNING.values(), ids=list(RUNNING))
async def test_closing_ends_what_is_running(
    ecr: LocalECR, running: Running, seconds: float
) -> None:
    """Closing the client ends whatever is running with an error, however little was left of it."""
    async with ecr.client() as client:
        task = asyncio.create_task(running(client))
        await asyncio.sleep(seconds)
    with pytest.raises(
        ClientStateError, match=r"^the client was closed while this operation was running$"
    ):
        await task


async def test_closing_gives_each_caller_an_error(ecr: LocalECR) -> None:
    """Each caller whose work was ended by closing has an error of its own."""
    async with ecr.client() as client:
        calls = [
            asyncio.create_task(call)
            for _ in range(2)
            for call in (
                client.check_layer("app", "sha256:aa"),
                client.check_layers("app", ["sha256:aa"]),
                client.check_many({"app": ["sha256:aa"]}),
                client.verify_image("app", "latest"),
                client.wait_until_available("app", ["sha256:aa"], timeout=60),
            )
        ]
        await asyncio.sleep(0.01)
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in errors} == {ClientStateError}
    assert len(set(map(id, errors))) == len(errors)


async def test_closing_a_caller_that_survived_a_cancellation(ecr: LocalECR) -> None:
    """Closing does not cancel a task anew that caught a cancellation before its call."""

    async def survivor() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60.0)
        await client.check_many({"app": ["sha256:aa"]})

    async with ecr.client() as client:
        task = asyncio.create_task(survivor())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0.02)
    with pytest.raises(ClientStateError, match="was closed while"):
        await task


async def test_cancelled_and_closed(ecr: LocalECR) -> None:
    """Work that is cancelled while the client closes ends as cancelled, so that timeouts work."""
    async with ecr.client() as client:
        task = asyncio.create_task(client.check_many({"app": ["sha256:aa"]}))
        await asyncio.sleep(0.02)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_closed_while_it_is_opened(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is closed while it is being opened is not open, and leaves nothing behind."""
    client = ecr.client()
    real = opening.open_transport

    async def slowly(options: ConnectionOptions, config: ClientConfig) -> OpenedTransport:
        opened = await real(options, config)
        await asyncio.sleep(1)
        return opened

    monkeypatch.setattr(opening, "open_transport", slowly)
    task = asyncio.create_task(client.open())
    await asyncio.sleep(0.5)
    await client.aclose()

    with pytest.raises(ClientStateError, match="closed while it was being opened"):
        await task
    assert ecr.connections == 0


async def test_a_view_shares_the_connection(ecr: LocalECR, digests: list[str]) -> None:
    """A view sends requests through its client's connection, and closing the view does nothing."""
    async with ecr.client() as client:
        async with client.with_config(batch_size=50) as view:
            await view.check_layers("app", digests)
        assert ecr.connections == 1
        await view.check_layers("app", digests)
    assert ecr.stats.requests == 10

    with pytest.raises(ClientStateError, match="closed"):
        await view.check_layers("app", digests)


async def test_a_view_of_a_closed_client(ecr: LocalECR) -> None:
    """A view can be made before its client is open, and opens nothing."""
    view = ecr.client().with_config(batch_size=50)
    await view.open()
    with pytest.raises(ClientStateError, match="not open yet"):
        await _check(view)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"max_concurrency": 9}, "can't change max_concurrency"),
        ({"requests_per_second": 1.0}, "can't change requests_per_second"),
        (
            {"connect_timeout": 1.0},
            "can't change connect_timeout, because it is an option",
        ),
        ({"batch_size": 0}, "batch_size=0"),
        ({"colour": "red"}, "no option 'colour'"),
    ],
)
async def test_a_view_refuses(ecr: LocalECR, changes: dict[str, Any], match: str) -> None:
    """A view refuses options of the connection, options that are not valid, and unknown ones."""
    with pytest.raises(InvalidInputError, match=match):
        ecr.client().with_config(**changes)


async def test_a_view_of_a_view(ecr: LocalECR) -> None:
    """A view keeps its client's other options."""
    client = ecr.client(retry=RetryPolicy(max_attempts=3))
    view = client.with_config(batch_size=5).with_config(attempt_timeout=4.0)
    assert view._config == client._config.replace({"batch_size": 5, "attempt_timeout": 4.0})


async def test_for_region(ecr: LocalECR) -> None:
    """A client of another Region signs for that Region, and is opened by itself."""
    async with ecr.client() as client, client.for_region("eu-west-1") as other:
        assert "eu-west-1" in repr(other)
        with pytest.raises(InvalidInputError, match=r"'us-east-1'.*'eu-west-1'"):
            await other.check_layers(f"{ecr.account}.dkr.ecr.us-east-1.amazonaws.com/app", [])


@pytest.mark.parametrize("region", ["", "Europe", "eu west", None])
async def test_for_a_malformed_region(ecr: LocalECR, region: Any) -> None:
    """A malformed name of a Region is refused."""
    with pytest.raises(InvalidInputError, match="Region"):
        ecr.client().for_region(region)


async def test_not_pickled(ecr: LocalECR) -> None:
    """A client cannot be pickled, and the error says what to do."""
    with pytest.raises(TypeError, match="make one in each process"):
        pickle.dumps(ecr.client())


async def test_aiobotocore_is_imported_when_a_client_opens(
    ecr: LocalECR, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening a client imports the modules that import aiobotocore."""
    monkeypatch.delitem(sys.modules, "ecr_layer_client._transport.opening")
    async with ecr.client():
        assert "ecr_layer_client._transport.opening" in sys.modules
