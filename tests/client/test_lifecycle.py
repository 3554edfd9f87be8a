"""Opening, closing, views, other Regions, other loops, forked children."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import (
    ClientConfig,
    ClientStateError,
    ECRLayerClient,
    InvalidInputError,
    LayerChecker,
    RetryPolicy,
)
from ecr_layer_client._transport import opening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client._transport.opening import OpenedTransport
    from ecr_layer_client._transport.options import ConnectionOptions
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


@pytest.fixture
def transport() -> TransportName:
    """Give one transport: what is tested here lies above them."""
    return "signed"


async def test_before_entry(ecr: LocalECR) -> None:
    """A client that was not entered says so."""
    with pytest.raises(ClientStateError, match="not open yet"):
        await ecr.client().check_layers("app", [])


async def test_after_close(ecr: LocalECR) -> None:
    """A client that was closed says so."""
    async with ecr.client() as client:
        pass
    with pytest.raises(ClientStateError, match="closed"):
        await client.check_layers("app", [])


async def test_closing_twice(ecr: LocalECR) -> None:
    """Closing twice is fine, and so is closing what was never opened."""
    client = ecr.client()
    await client.aclose()
    await client.open()
    await client.aclose()
    await client.aclose()
    assert "not open" in repr(client)


async def test_opened_twice(ecr: LocalECR) -> None:
    """An open client can't be entered again."""
    async with ecr.client() as client:
        with pytest.raises(ClientStateError, match="open already"):
            await client.open()


async def test_opened_again_after_close(ecr: LocalECR) -> None:
    """A closed client may be opened again."""
    ecr.seed("app", [])
    client = ecr.client()
    await client.open()
    await client.aclose()
    async with client:
        assert len(await client.check_layers("app", ["sha256:aa"])) == 1


async def test_open_and_aclose(ecr: LocalECR) -> None:
    """Services with a lifespan open and close by hand."""
    ecr.seed("app", [])
    client = await ecr.client().open()
    try:
        assert len(await client.check_layers("app", ["sha256:aa"])) == 1
    finally:
        await client.aclose()


async def test_a_failed_opening_leaves_it_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that could not be opened can be tried again."""
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    client = ECRLayerClient()
    for _ in range(2):
        with pytest.raises(InvalidInputError, match="no AWS Region"):
            await client.open()


async def test_an_empty_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set and empty, as a secret that is missing leaves it, is no Region."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "")
    with pytest.raises(InvalidInputError, match="there is no AWS Region"):
        await ECRLayerClient().open()


async def test_on_another_loop(ecr: LocalECR) -> None:
    """A client used on another event loop says so."""
    async with ecr.client() as client:

        def elsewhere() -> None:
            async def use() -> None:
                await client.check_layers("app", [])

            asyncio.run(use())

        with pytest.raises(ClientStateError, match="another event loop"):
            await asyncio.to_thread(elsewhere)


async def test_where_no_loop_runs(ecr: LocalECR) -> None:
    """A stream asked for in a thread without an event loop is refused in the same words."""
    async with ecr.client() as client:
        with pytest.raises(ClientStateError, match="another event loop"):
            await asyncio.to_thread(client.stream_layers, "app", [])


async def test_closed_on_another_loop(ecr: LocalECR) -> None:
    """Closing on another event loop is refused too, and leaves the client open."""
    async with ecr.client() as client:

        def elsewhere() -> None:
            asyncio.run(client.aclose())

        with pytest.raises(ClientStateError, match="another event loop"):
            await asyncio.to_thread(elsewhere)
        assert repr(client).endswith("open>")


async def test_streams_on_another_loop(ecr: LocalECR, digests: list[str]) -> None:
    """A stream entered, read or left on another event loop than its client's says so, and goes on where it belongs."""
    ecr.seed("app", [])

    async def elsewhere(doing: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(ClientStateError, match="another event loop"):
            await doing()

    async with ecr.client() as client:
        for stream in (client.stream_layers("app", digests),):
            # Run at once.
            await asyncio.to_thread(lambda: asyncio.run(elsewhere(stream.__aenter__)))  # noqa: B023
            async with stream:
                given = [await anext(stream) for _ in range(100)]
                for doing in (stream.__anext__, partial(stream.__aexit__, None, None, None)):
                    # As above.
                    await asyncio.to_thread(lambda: asyncio.run(elsewhere(doing)))  # noqa: B023
                given += [item async for item in stream]
            assert len(given) == len(digests)


async def test_in_a_forked_child(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client used in a forked child says so."""
    async with ecr.client() as client:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)
            with pytest.raises(ClientStateError, match="forked"):
                await client.check_layers("app", [])


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
            child = os.fork()
            if child == 0:
                try:
                    for doing in (new.__aenter__, stream.__anext__, lambda: stream.__aexit__(None, None, None), client.aclose):
                        asyncio.run(refused(doing))
                    os._exit(0)
                finally:
                    os._exit(1)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len([item async for item in stream]))

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
async def test_streams_in_a_forked_child() -> None:
    """A stream in a forked child is refused whatever is tried, and the parent's goes on."""
    script = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-c", FORKED, stdout=asyncio.subprocess.PIPE
    )
    stdout, _ = await script.communicate()
    assert stdout == b"0 150\n"


async def test_closing_ends_what_is_under_way(ecr: LocalECR) -> None:
    """Closing the client ends its streams with an error that says so."""
    ecr.seed("app", [])

    async def endless() -> object:
        async with client.stream_layers(
            "app", (f"sha256:{n:064x}" for n in range(10**9))
        ) as stream:
            async for _ in stream:
                pass
        return None

    async with ecr.client() as client:
        task = asyncio.create_task(endless())
        await asyncio.sleep(0.01)
    with pytest.raises(ClientStateError, match="was closed while"):
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


@pytest.mark.parametrize("lazy", [False, True], ids=["list", "async-generator"])
@pytest.mark.parametrize("size", [50, 250, 5000])
async def test_closing_is_never_taken_for_the_end(ecr: LocalECR, size: int, *, lazy: bool) -> None:
    """A check that is under way when the client is closed is an error, however little was left of it."""
    ecr.seed("app", [])
    digests = [f"sha256:{number:064x}" for number in range(size)]

    async def one_by_one() -> AsyncIterator[str]:
        for digest in digests:
            yield digest

    async with ecr.client() as client:
        task = asyncio.create_task(client.check_layers("app", one_by_one() if lazy else digests))
        await asyncio.sleep(0.02)
    with pytest.raises(ClientStateError, match="was closed while"):
        await task


async def test_closed_while_it_is_opened(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is closed while it is being opened is not open in the end, and leaves nothing behind."""
    client = ecr.client()
    real = opening.open_transport

    async def slowly(target: ConnectionOptions, config: ClientConfig) -> OpenedTransport:
        opened = await real(target, config)
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
    """A view asks through its client's connection, and closing it does nothing."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        async with client.with_config(batch_size=50) as view:
            await view.check_layers("app", digests)
        assert ecr.connections == 1
        await view.check_layers("app", digests)
    assert ecr.stats.requests == 10
    with pytest.raises(ClientStateError, match="closed"):
        await view.check_layers("app", digests)


async def test_a_view_before_its_client_is_open(ecr: LocalECR) -> None:
    """A view may be made before its client is open, and opens nothing itself."""
    view = ecr.client().with_config(batch_size=50)
    await view.open()
    with pytest.raises(ClientStateError, match="not open yet"):
        await view.check_layers("app", [])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        pytest.param({"max_concurrency": 9}, "max_concurrency belongs to", id="concurrency"),
        pytest.param({"requests_per_second": 1.0}, "requests_per_second belongs to", id="rate"),
        pytest.param(
            {"connect_timeout": 1.0}, "connect_timeout belongs to the connection", id="connection"
        ),
        pytest.param({"batch_size": 0}, "batch_size=0", id="rule"),
        pytest.param({"colour": "red"}, "no option 'colour'", id="unknown"),
    ],
)
async def test_a_view_refuses(ecr: LocalECR, changes: dict[str, object], match: str) -> None:
    """A view refuses what it can't keep, naming the rule."""
    with pytest.raises(InvalidInputError, match=match):
        ecr.client().with_config(**changes)  # type: ignore[arg-type]


async def test_a_view_of_a_view(ecr: LocalECR) -> None:
    """A view keeps its client's other options."""
    view = (
        ecr.client(retry=RetryPolicy(max_attempts=3))
        .with_config(batch_size=5)
        .with_config(attempt_timeout=4.0)
    )
    assert view._config == ClientConfig(
        retry=RetryPolicy(max_attempts=3),
        batch_size=5,
        attempt_timeout=4.0,
        transport=view._config.transport,
    )


async def test_for_region(ecr: LocalECR) -> None:
    """A client of another Region signs for it, with the same session, and is opened for itself."""
    ecr.seed("app", [])
    async with ecr.client() as client, client.for_region("eu-west-1") as other:
        assert "eu-west-1" in repr(other)
        with pytest.raises(InvalidInputError, match=r"'us-east-1'.*'eu-west-1'"):
            await other.check_layers(f"{ecr.account}.dkr.ecr.us-east-1.amazonaws.com/app", [])


@pytest.mark.parametrize("region", ["", "Europe", "eu west", None])
async def test_for_no_region(ecr: LocalECR, region: Any) -> None:
    """What is no Region's name is refused."""
    with pytest.raises(InvalidInputError, match="Region"):
        ecr.client().for_region(region)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        pytest.param(
            {"endpoint_url": "http://ecr.example"}, "plain http beyond this machine", id="insecure"
        ),
        pytest.param(
            {"endpoint_url": "https://me:secret@ecr.example"},
            "holds a user name or password",
            id="user",
        ),
        pytest.param({"endpoint_url": "ecr.example"}, "not of the form", id="no-scheme"),
        pytest.param({"endpoint_url": "https://[::1"}, "no URL", id="no-url"),
        pytest.param({"region_name": ""}, "region_name=''", id="empty-region"),
        pytest.param({"profile_name": 3}, "profile_name=<int>", id="profile"),
        pytest.param({"config": {"batch_size": 3}}, "config=", id="config"),
        pytest.param(
            {"profile_name": "me", "session": object()}, "beside session=", id="profile-and-session"
        ),
        pytest.param({"session": object()}, "an aiobotocore session", id="no-session"),
        pytest.param({"observer": 5}, "observer=<int>", id="no-observer"),
    ],
)
async def test_bad_arguments(options: dict[str, object], match: str) -> None:
    """A client refuses what can't be meant, before anything is opened, and shows no password."""
    with pytest.raises(InvalidInputError, match=match) as refused:
        ECRLayerClient(**options)  # type: ignore[arg-type]
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "endpoint_url",
    ["http://localhost:4566", "http://127.0.0.9:1", "http://[::1]:5000", "http://ecr.localhost"],
)
async def test_loopback_may_be_plain_http(endpoint_url: str) -> None:
    """Plain http is accepted where it can't leave the machine."""
    assert endpoint_url in repr(ECRLayerClient(endpoint_url=endpoint_url))


async def test_insecure_when_allowed() -> None:
    """Plain http beyond the machine is accepted when the options say so."""
    config = ClientConfig(allow_insecure_endpoint=True)
    assert "http://ecr.example" in repr(
        ECRLayerClient(endpoint_url="http://ecr.example", config=config)
    )


async def test_is_a_layer_checker(ecr: LocalECR) -> None:
    """A client is what other libraries annotate."""
    assert isinstance(ecr.client(), LayerChecker)


async def test_not_pickled(ecr: LocalECR) -> None:
    """A client is not pickled, and says what to do."""
    with pytest.raises(TypeError, match="make one in each process"):
        pickle.dumps(ecr.client())


async def test_aiobotocore_is_imported_when_it_is_opened(
    ecr: LocalECR, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where aiobotocore's rooms are not imported yet, opening imports them."""
    monkeypatch.delitem(sys.modules, "ecr_layer_client._transport.opening")
    async with ecr.client():
        assert "ecr_layer_client._transport.opening" in sys.modules
