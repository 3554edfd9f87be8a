"""A local ECR in its own thread: its clients, changes from other threads, and its end."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._http_server import HTTPServer
from ecr_layer_client.local._thread import LoopThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def ecr() -> Iterator[LocalECR]:
    """Provide a local ECR in its own thread."""
    with LocalECR() as local:
        yield local


def boto(**options: Any) -> Any:
    """Return boto3's client of ECR."""
    # boto3 has no types.
    boto3: Any = importlib.import_module("boto3")
    # A new session, because the default one keeps the environment that it first read.
    return boto3.Session().client("ecr", **options)


def check(client: Any, *digests: str) -> list[str]:
    """Return the availability of digests, from boto3."""
    answer = client.batch_check_layer_availability(repositoryName="app", layerDigests=list(digests))
    return [each["layerAvailability"] for each in answer["layers"]]


def test_a_blocking_caller_reaches_it(ecr: LocalECR) -> None:
    """boto3 gets responses in the thread that opened the local ECR."""
    digest = ecr.put_layer("app", b"a layer")
    assert check(boto(**ecr.client_kwargs), digest, DIGEST) == ["AVAILABLE", "UNAVAILABLE"]


def test_every_loop_reaches_it(ecr: LocalECR) -> None:
    """Clients of one event loop after another get responses."""
    digest = ecr.put_layer("app", b"a layer")

    async def ask() -> bool:
        async with ecr.client() as client:
            return (await client.check_layers("app", [digest])).all_available

    assert [asyncio.run(ask()), asyncio.run(ask())] == [True, True]


@pytest.mark.parametrize(
    "set_before",
    [{}, {"AWS_SESSION_TOKEN": "of-the-shell", "AWS_REGION": "eu-west-1"}],
    ids=["clean", "logged-in"],
)
def test_its_environment_reaches_it(
    ecr: LocalECR, monkeypatch: pytest.MonkeyPatch, set_before: dict[str, str]
) -> None:
    """With its variables, boto3 without arguments uses the local ECR, whatever the shell sets."""
    for name, value in {**set_before, **ecr.environment}.items():
        monkeypatch.setenv(name, value)
    digest = ecr.put_layer("app", b"a layer")
    assert check(boto(), digest) == ["AVAILABLE"]


def test_its_environment_reaches_our_client(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its variables, our own client without arguments uses the local ECR."""
    from ecr_layer_client import ECRLayerClient

    for name, value in ecr.environment.items():
        monkeypatch.setenv(name, value)
    digest = ecr.put_layer("app", b"a layer")

    async def ask() -> bool:
        async with ECRLayerClient() as client:
            return (await client.check_layers("app", [digest])).all_available

    assert asyncio.run(ask())


def test_it_ends_with_its_thread() -> None:
    """After the block no thread and no connection is left, although boto3 keeps its own open."""
    threads = threading.active_count()
    with LocalECR() as ecr:
        client = boto(**ecr.client_kwargs)
        ecr.create_repository("app")
        check(client, DIGEST)
        assert (threading.active_count(), ecr.connections) == (threads + 1, 1)
    assert (threading.active_count(), ecr.connections) == (threads, 0)


def test_it_opens_again_with_its_contents() -> None:
    """Closing keeps repositories and layers.

    The next block serves them, at another port or the same one.
    """
    ecr = LocalECR()
    with ecr:
        digest = ecr.put_layer("app", b"a layer")
    with ecr:
        assert check(boto(**ecr.client_kwargs), digest) == ["AVAILABLE"]


def test_opening_it_twice_is_rejected(ecr: LocalECR) -> None:
    """A second block on an open local ECR raises RuntimeError, and the first continues."""
    with pytest.raises(RuntimeError, match="already open"), ecr:
        pass
    ecr.create_repository("app")
    assert check(boto(**ecr.client_kwargs), DIGEST) == ["UNAVAILABLE"]


def test_in_memory_there_is_no_thread() -> None:
    """The in-memory server cannot be served in a thread, and the error says what to write."""
    with pytest.raises(RuntimeError, match="use `async with"), LocalECR(in_memory=True):
        pass


def test_a_taken_port_is_an_oserror() -> None:
    """Two registries cannot listen at one port, and the second leaves no thread behind."""
    with LocalECR() as ecr:
        port, threads = int(ecr.endpoint_url.rpartition(":")[2]), threading.active_count()
        with pytest.raises(OSError, match="in use"), LocalECR(port=port):
            pass
        assert threading.active_count() == threads


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_it_listens_at_its_host(host: str) -> None:
    """At a name or an address of either kind, this machine can reach its URL."""
    try:
        with LocalECR(host=host) as ecr:
            ecr.create_repository("app")
            assert check(boto(**ecr.client_kwargs), DIGEST) == ["UNAVAILABLE"]
    except OSError as error:
        if host != "::1":
            raise
        pytest.skip(f"this machine has no IPv6 loopback: {error}")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:4510"),  # noqa: S104 (nothing binds)
        ("::", "http://[::1]:4510"),
        ("::1", "http://[::1]:4510"),
        ("a.test", "http://a.test:4510"),
    ],
)
def test_its_url_is_reachable(host: str, url: str) -> None:
    """The URL for all addresses of the machine has the loopback address."""
    assert HTTPServer(LocalECR()._service, host=host, port=4510).url == url


# -- calls from other threads and processes


@pytest.fixture
def _threads_switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_threads_switch_often")
def test_changes_come_between_requests(ecr: LocalECR) -> None:
    """Repositories that are created during listings break no listing."""
    client = boto(**ecr.client_kwargs)
    ecr.create_repository("app")
    done = threading.Event()

    def fill() -> None:
        for number in range(600):
            ecr.create_repository(f"r{number}")
        done.set()

    filling = threading.Thread(target=fill)
    filling.start()
    while not done.is_set():
        client.describe_repositories(maxResults=1000)

    filling.join()
    assert list(ecr.stats.by_operation["DescribeRepositories"]) == ["ok"]


@pytest.mark.usefixtures("_threads_switch_often")
def test_no_fault_is_lost(ecr: LocalECR) -> None:
    """Faults that are added while requests use up others all apply, each once."""
    client = boto(**ecr.client_kwargs)
    adding = threading.Thread(
        target=lambda: [ecr.faults.add(latency=0.0001, times=1) for _ in range(200)]
    )
    adding.start()
    while adding.is_alive():
        client.describe_repositories()

    client.describe_repositories()
    assert (
        len(ecr.faults),
        ecr.stats.by_operation["DescribeRepositories"].get("latency", 0) > 0,
    ) == (0, True)


def test_a_quota_changes_by_the_servers_clock(ecr: LocalECR) -> None:
    """A quota set from another thread applies at once, and an invalid one raises ValueError."""
    ecr.set_quota(0.001, burst=1)
    client = boto(**ecr.client_kwargs, config=Config(retries={"total_max_attempts": 1}))
    client.describe_repositories()
    with pytest.raises(ClientError, match="Rate exceeded"):
        client.describe_repositories()
    with pytest.raises(ValueError, match="quota must be"):
        ecr.set_quota(-1)


def test_a_loop_calls_itself_without_waiting() -> None:
    """Code that runs on the loop may call the loop again."""
    thread = LoopThread()
    try:
        assert thread.call(lambda: thread.call(threading.current_thread)).name == "local-ecr"
    finally:
        thread.stop()


def test_counts_are_of_one_moment(ecr: LocalECR) -> None:
    """Counts do not change after they were read."""
    client = boto(**ecr.client_kwargs)
    client.describe_repositories()
    before = ecr.stats.by_operation
    client.describe_repositories()
    assert (before, ecr.stats.by_operation) == (
        {"DescribeRepositories": {"ok": 1}},
        {"DescribeRepositories": {"ok": 2}},
    )


def _outcome_in_a_child(work: Callable[[], bool]) -> int:
    """Return the status of a forked child: 0 if `work` returns True, else or on a hang another."""
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        code = 2
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)

    return os.waitpid(child, 0)[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_leaving_it_in_a_forked_child(ecr: LocalECR) -> None:
    """A forked child leaves the block at once, and the parent still serves."""

    def leave() -> bool:
        ecr.__exit__()
        return True

    assert (
        _outcome_in_a_child(leave),
        boto(**ecr.client_kwargs).describe_repositories()["repositories"],
    ) == (0, [])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_use_in_a_forked_child(ecr: LocalECR) -> None:
    """A forked child cannot change the local ECR, because the thread is in the parent."""

    def use() -> bool:
        try:
            ecr.set_quota(1.0)
        except RuntimeError as error:
            return "forked" in str(error)
        return False

    assert _outcome_in_a_child(use) == 0


def test_the_thread_ends_though_closing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while closing is raised, and no thread is left."""
    close = HTTPServer.aclose

    async def fail(server: HTTPServer) -> None:
        await close(server)
        raise OSError("no more")

    before = threading.active_count()
    monkeypatch.setattr(HTTPServer, "aclose", fail)
    with pytest.raises(OSError, match="no more"), LocalECR():
        pass
    assert threading.active_count() == before
