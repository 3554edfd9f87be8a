"""Faults: what each does to a response, which requests it affects, over HTTP and in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ecr_layer_client.local import FaultOptions, LocalECR
from ecr_layer_client.local._fault_options import Script
from ecr_layer_client.local._faults import Faults
from ecr_layer_client.local._protocol import TARGET_PREFIX, Reply, Request
from ecr_layer_client.local._quotas import Quotas
from ecr_layer_client.local._registry.registry import Registry
from ecr_layer_client.local._service import Service
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine

DIGESTS = [f"sha256:{number:02x}" for number in range(20)]
CHECK = "BatchCheckLayerAvailability"
ROWS = len(DIGESTS)
ERROR, OTHER = "KmsException", "LimitExceededException"
T = TypeVar("T")


def in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop whose clock begins at 0 and jumps."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def named(value: Any) -> str:
    """Return the test id of options."""
    return "" if isinstance(value, str) else "+".join(value)


async def received(reply: Reply) -> list[bytes]:
    """Return the chunks of a reply, followed by b"reset" if the connection is reset."""
    assert reply.stream is not None
    chunks: list[bytes] = []
    with contextlib.suppress(ConnectionResetError):
        async for chunk in reply.stream(reply.body):
            # A list comprehension would lose the chunks at the reset.
            chunks.append(chunk)  # noqa: PERF401
        return chunks
    return [*chunks, b"reset"]


class Faulty:
    """A registry with one repository, its faults, and the responses."""

    def __init__(self, *, seed: int = 0, quotas: Quotas | None = None) -> None:
        """Start without faults."""
        registry = Registry(account="123456789012", region="us-east-1")
        registry.run("CreateRepository", {"repositoryName": "app"})
        self.faults = Faults(seed)
        self.service = Service(registry, [self.faults, quotas or Quotas()])

    async def ask(self, operation: str = CHECK, **members: Any) -> Reply:
        """Return the reply to one request. Without members, it is a check of all digests."""
        members = members or (
            {"repositoryName": "app", "layerDigests": DIGESTS} if operation == CHECK else {}
        )
        return await self.service.answer(
            Request(
                "POST",
                "/",
                {"x-amz-target": f"{TARGET_PREFIX}.{operation}"},
                json.dumps(members).encode(),
            )
        )

    def outcomes(self, count: int, operation: str = CHECK) -> list[str]:
        """Send this many requests and return the outcome of each."""

        async def main() -> list[str]:
            return [await self.outcome(operation) for _ in range(count)]

        return in_virtual_time(main())

    async def outcome(self, operation: str = CHECK) -> str:
        """Send a request and return its outcome."""
        try:
            return (await self.ask(operation)).outcome
        except ConnectionResetError:
            return "reset"

    def rows(self) -> list[str]:
        """Send a request and return the digests of the rows in the response."""
        return [
            row["layerDigest"] for row in json.loads(in_virtual_time(self.ask()).body[:])["layers"]
        ]

    def body(self) -> tuple[list[tuple[float, bytes]], bytes]:
        """Send a request and return the chunks, each with its time.

        Return the original body, too.
        """

        async def main() -> tuple[list[tuple[float, bytes]], bytes]:
            reply = await self.ask()
            assert reply.stream is not None
            return [
                (asyncio.get_running_loop().time(), chunk)
                async for chunk in reply.stream(reply.body)
            ], reply.body[:]

        return in_virtual_time(main())


# -- which requests a fault affects


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "XXXXX"),
        ({"times": 2}, "XX..."),
        ({"after": 3}, "...XX"),
        ({"after": 1, "times": 2}, ".XX.."),
        ({"operation": CHECK}, "XXXXX"),
        ({"operation": "InitiateLayerUpload"}, "....."),
    ],
    ids=["all", "times", "after", "after-and-times", "its-operation", "another-operation"],
)
def test_a_fault_hits_the_requests_it_is_meant_for(options: Any, expected: str) -> None:
    """`operation`, `after` and `times` select the requests."""
    faulty = Faulty()
    faulty.faults.add(error=ERROR, **options)
    assert "".join("X" if outcome == ERROR else "." for outcome in faulty.outcomes(5)) == expected


def test_faults_of_any_operation_hit_every_operation() -> None:
    """Without `operation`, requests of all operations count against `times` together."""
    faulty = Faulty()
    faulty.faults.add(error=ERROR, times=2)
    assert faulty.outcomes(1) + faulty.outcomes(2, "DescribeRepositories") == [ERROR, ERROR, "ok"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([{"error": ERROR, "times": 2}, {"reset": True, "times": 1}], [ERROR, ERROR, "reset"]),
        ([{"error": ERROR, "times": 2}, {"error": OTHER, "after": 3}], [ERROR, ERROR, "ok", OTHER]),
    ],
    ids=["in-turn", "after"],
)
def test_answering_faults_follow_each_other(options: list[Any], expected: list[str]) -> None:
    """Of two faults that respond, one comes after the other. `after` counts from the start."""
    faulty = Faulty()
    first = faulty.faults.add(**options[0])
    faulty.faults.add(**options[1])
    assert (faulty.outcomes(4), first.played) == ([*expected, "ok"][:4], 2)


def test_a_used_up_fault_is_gone() -> None:
    """A fault that affected `times` requests is removed. The repr shows what is left."""
    faulty = Faulty()
    faulty.faults.add(error=ERROR, times=1)
    expected = "<Faults [<Fault times=1, error='KmsException'; played 0>]>"
    assert (len(faulty.faults), repr(faulty.faults)) == (1, expected)
    faulty.outcomes(1)
    assert (len(faulty.faults), repr(faulty.faults)) == (0, "<Faults []>")


def test_the_same_seed_hits_the_same_requests() -> None:
    """A probability is drawn from the seed, which can be given again."""
    first, second = Faulty(seed=7), Faulty(seed=1)
    second.faults.seed(7)
    for faulty in (first, second):
        faulty.faults.add(error=ERROR, probability=0.3)
    assert first.outcomes(100) == second.outcomes(100)


def test_a_probability_hits_that_share() -> None:
    """Of 1,000 requests, a probability of 0.3 affects about 300: 301 with this seed."""
    faulty = Faulty(seed=7)
    fault = faulty.faults.add(error=ERROR, probability=0.3)
    assert (Counter(faulty.outcomes(1000))[ERROR], fault.seen) == (fault.played, 1000)
    assert 250 < fault.played < 350


def test_a_removed_fault_hits_no_more() -> None:
    """`remove` ends a fault and keeps its count, and is safe to call twice."""
    faulty = Faulty()
    fault, other = faulty.faults.add(error=ERROR), faulty.faults.add(latency=1)
    faulty.outcomes(1)
    fault.remove()
    fault.remove()
    assert (faulty.outcomes(1), fault.played, other.played) == (["latency"], 1, 1)


def test_clear_removes_all() -> None:
    """`clear` ends every fault."""
    faulty = Faulty()
    faulty.faults.add(error=ERROR)
    faulty.faults.add(latency=1)
    faulty.faults.clear()
    assert (faulty.outcomes(1), len(faulty.faults)) == (["ok"], 0)


# -- effects: responses in place of the registry's


@pytest.mark.parametrize(
    ("options", "status", "answer"),
    [
        (
            {"error": "ThrottlingException"},
            400,
            {"__type": "ThrottlingException", "message": "Rate exceeded"},
        ),
        (
            {"error": "ServerException", "message": "m"},
            500,
            {"__type": "ServerException", "message": "m"},
        ),
        (
            {"error": "TooManyRequestsException"},
            429,
            {"__type": "TooManyRequestsException", "message": "Too Many Requests"},
        ),
        ({"error": "SlowDown", "message": ""}, 503, {"__type": "SlowDown", "message": ""}),
        (
            {"error": "Other", "status": 418},
            418,
            {"__type": "Other", "message": "A fault of the local ECR causes this error"},
        ),
    ],
    ids=["throttled", "server", "429", "503", "own-status"],
)
def test_an_error_has_the_status_and_words_of_aws(
    options: Any, status: int, answer: dict[str, str]
) -> None:
    """An error has AWS's status and wording by default."""
    faulty = Faulty()
    faulty.faults.add(**options)
    reply = in_virtual_time(faulty.ask())
    assert (reply.status, json.loads(reply.body[:]), reply.outcome) == (
        status,
        answer,
        options["error"],
    )


def test_a_bare_status_has_an_html_body() -> None:
    """`status` alone is the page of a load balancer."""
    faulty = Faulty()
    faulty.faults.add(status=503)
    reply = in_virtual_time(faulty.ask())
    assert (reply.status, reply.headers["content-type"], reply.body[:18]) == (
        503,
        "text/html",
        b"<html><head><title",
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", None), (b"null", None), (b"\xef\xbb\xbf{}", None), (b"<html>", 500)],
    ids=["empty", "null", "bom", "status"],
)
def test_a_body_is_sent_as_it_is(body: bytes, status: int | None) -> None:
    """`body` is the complete body of a 200, or of another status."""
    faulty = Faulty()
    faulty.faults.add(body=body, status=status)
    reply = in_virtual_time(faulty.ask())
    assert (reply.status, reply.body, reply.outcome) == (status or 200, body, "body")


@pytest.mark.parametrize(
    ("options", "status"), [({}, 307), ({"status": 302}, 302)], ids=["default", "302"]
)
def test_a_redirect_names_its_target(options: Any, status: int) -> None:
    """`redirect_to` returns 307 with a Location."""
    faulty = Faulty()
    faulty.faults.add(redirect_to="http://127.0.0.1:9/x", **options)
    reply = in_virtual_time(faulty.ask())
    assert (reply.status, reply.headers["location"], reply.outcome) == (
        status,
        "http://127.0.0.1:9/x",
        "redirect_to",
    )


@pytest.mark.parametrize(
    "options",
    [
        {"error": ERROR},
        {"status": 503},
        {"body": b"{}"},
        {"redirect_to": "http://x"},
        {"reset": True},
    ],
    ids="+".join,
)
def test_the_operation_does_not_run_when_a_fault_answers(options: Any) -> None:
    """A fault that responds or resets leaves the registry unchanged."""
    faulty = Faulty()
    faulty.faults.add(operation="InitiateLayerUpload", **options)

    async def main() -> int:
        await faulty.outcome("InitiateLayerUpload")
        return len(faulty.service.registry.repository("app").uploads)

    assert in_virtual_time(main()) == 0


# -- effects: time


async def time_of(faulty: Faulty) -> float:
    """Return how many seconds one request takes."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    await faulty.outcome()
    return loop.time() - start


@pytest.mark.parametrize(
    "more",
    [{}, {"error": ERROR}, {"reset": True}, {"cut_at": 3}],
    ids=["alone", "error", "reset", "cut"],
)
def test_latency_is_waited_first(more: Any) -> None:
    """Latency passes before the other effects of a fault."""
    faulty = Faulty()
    faulty.faults.add(latency=1.5, **more)
    assert in_virtual_time(time_of(faulty)) == 1.5


def test_latencies_add_up() -> None:
    """A request waits for two faults, and then gets the response of a third one."""
    faulty = Faulty()
    faulty.faults.add(latency=1)
    faulty.faults.add(latency=2)
    faulty.faults.add(error=ERROR)
    assert (in_virtual_time(time_of(faulty)), faulty.outcomes(1)) == (3.0, [ERROR])


def test_a_range_of_latency_is_drawn_within_it() -> None:
    """Each request draws a number from `(low, high)`, with the seed."""
    faulty = Faulty()
    faulty.faults.add(latency=(1.0, 2.0))
    times = [in_virtual_time(time_of(faulty)) for _ in range(50)]
    assert (all(1.0 <= each <= 2.0 for each in times), len(set(times))) == (True, 50)


def test_a_drip_takes_its_time() -> None:
    """A body with 100 bytes per second arrives in chunks of a tenth of a second, complete."""
    faulty = Faulty()
    faulty.faults.add(drip=100.0)
    chunks, body = faulty.body()
    assert b"".join(chunk for _, chunk in chunks) == body
    assert {len(chunk) for _, chunk in chunks[:-1]} == {10}
    assert chunks[-1][0] == pytest.approx(len(body) / 100)


def test_a_slow_drip_sends_single_bytes() -> None:
    """Below ten bytes per second, each byte arrives alone, so that no read timeout fires."""
    faulty = Faulty()
    faulty.faults.add(drip=2.0)
    assert [(at, len(chunk)) for at, chunk in faulty.body()[0][:3]] == [
        (0.5, 1),
        (1.0, 1),
        (1.5, 1),
    ]


# -- effects: truncated bodies and resets


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"cut_at": 10}, [b'{"layers":']),
        ({"cut_at": 25, "drip": 100.0}, [b'{"layers":', b'[{"layerDi', b'gest"']),
        ({"cut_at": 5, "error": "ServerException"}, [b'{"__t']),
    ],
    ids=["alone", "drip", "error"],
)
def test_a_cut_body_ends_early(options: Any, expected: list[bytes]) -> None:
    """`cut_at` sends this many bytes, also of a dripped body, and of an error of the same fault."""
    faulty = Faulty()
    faulty.faults.add(**options)
    assert [chunk for _, chunk in faulty.body()[0]] == expected


def test_a_cut_at_the_end_truncates_nothing() -> None:
    """A cut at or after the end truncates nothing, and does not count as one."""
    faulty = Faulty()
    length = len(in_virtual_time(faulty.ask()).body)
    faulty.faults.add(cut_at=length)
    reply = in_virtual_time(faulty.ask())
    assert (reply.stream, reply.outcome) == (None, "ok")


def test_a_cut_may_be_a_reset() -> None:
    """`cut_at` with `reset` resets the connection after these bytes."""
    faulty = Faulty()
    faulty.faults.add(cut_at=10, reset=True)

    async def main() -> tuple[str, list[bytes]]:
        reply = await faulty.ask()
        return reply.outcome, await received(reply)

    assert in_virtual_time(main()) == ("reset", [b'{"layers":', b"reset"])


def test_a_cut_operation_has_run() -> None:
    """With `cut_at` the operation runs, unlike with a reset before the response."""
    faulty = Faulty()
    faulty.faults.add(cut_at=0)
    in_virtual_time(faulty.ask("InitiateLayerUpload", repositoryName="app"))
    assert len(faulty.service.registry.repository("app").uploads) == 1


def test_a_throttled_response_can_be_cut() -> None:
    """Faults apply outside the quotas: an error response is truncated like any other response."""
    faulty = Faulty(quotas=Quotas(1))
    faulty.faults.add(cut_at=5)
    assert faulty.outcomes(2) == ["cut_at", "cut_at"]


# -- effects: rows


def test_shuffled_rows_are_the_same_rows() -> None:
    """`shuffle` changes the order and nothing else."""
    faulty = Faulty()
    faulty.faults.add(shuffle=True)
    rows = faulty.rows()
    assert rows != DIGESTS
    assert sorted(rows) == DIGESTS


def test_two_rows_are_always_shuffled() -> None:
    """Even two rows arrive in another order, whatever the seed draws."""
    faulty = Faulty()
    faulty.faults.add(shuffle=True)

    async def main() -> set[str]:
        members: dict[str, Any] = {"repositoryName": "app", "layerDigests": DIGESTS[:2]}
        return {
            json.loads((await faulty.ask(**members)).body[:])["layers"][0]["layerDigest"]
            for _ in range(10)
        }

    assert in_virtual_time(main()) == {DIGESTS[1]}


@pytest.mark.parametrize(
    ("count", "left"), [(1, ROWS - 1), (ROWS, 0), (ROWS + 1, 0)], ids=["one", "all", "more"]
)
def test_dropped_rows_are_missing(count: int, left: int) -> None:
    """`drop_rows` leaves out this many rows, and keeps the order of the others."""
    faulty = Faulty()
    faulty.faults.add(drop_rows=count)
    rows = faulty.rows()
    assert (len(rows), rows) == (left, [digest for digest in DIGESTS if digest in rows])


@pytest.mark.parametrize(("count", "doubled"), [(1, 1), (ROWS + 1, ROWS)], ids=["one", "all"])
def test_doubled_rows_come_twice(count: int, doubled: int) -> None:
    """`double_rows` repeats this many rows."""
    faulty = Faulty()
    faulty.faults.add(double_rows=count)
    counts = Counter(faulty.rows())
    assert (sorted(counts), sum(counts.values())) == (DIGESTS, ROWS + doubled)


def test_failures_are_rows_too() -> None:
    """Rows of `failures` are dropped like those of `layers`."""
    faulty = Faulty()
    faulty.faults.add(drop_rows=1)
    reply = in_virtual_time(faulty.ask(repositoryName="app", layerDigests=["x"]))
    assert json.loads(reply.body[:]) == {"layers": [], "failures": []}


def test_an_error_response_has_no_rows_to_change() -> None:
    """A rejected request keeps its response and its code."""
    faulty = Faulty()
    faulty.faults.add(drop_rows=1)
    reply = in_virtual_time(faulty.ask(repositoryName="nope", layerDigests=["x"]))
    assert reply.outcome == "RepositoryNotFoundException"


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ({"latency": 1}, "latency"),
        ({"drip": 9e9}, "drip"),
        ({"shuffle": True}, "shuffle"),
        ({"drop_rows": 1, "shuffle": True}, "drop_rows"),
        ({"double_rows": 1, "latency": 1}, "double_rows"),
        ({"cut_at": 1, "latency": 1}, "cut_at"),
        ({"status": 503}, "503"),
        ({"reset": True}, "reset"),
    ],
    ids=named,
)
def test_a_request_counts_under_its_most_severe_fault(options: Any, outcome: str) -> None:
    """The statistics name what a fault did to a request."""
    faulty = Faulty()
    faulty.faults.add(**options)
    faulty.outcomes(1)
    assert faulty.service.stats.by_operation == {CHECK: {outcome: 1}}


# -- invalid options


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "a fault must do something"),
        ({"times": 3}, "a fault must do something"),
        ({"eror": "X"}, "a fault has no option 'eror': use one of operation, times"),
        ({"error": ERROR, "operation": "BatchCheck"}, "operation='BatchCheck' is not served"),
        ({"error": ERROR, "times": 0}, "times=0: "),
        ({"error": ERROR, "times": True}, "times=True: "),
        ({"error": ERROR, "after": -1}, "after=-1: "),
        ({"error": ERROR, "probability": 1.5}, "probability=1.5: "),
        ({"error": ""}, "error='': "),
        (
            {"error": "ThrottlingExeption"},
            (
                "error='ThrottlingExeption' is not an error code of ECR or AWS: the nearest one is "
                "'ThrottlingException'. For a code of your own, give status, too"
            ),
        ),
        (
            {"error": "LayersNotFound", "message": "m"},
            (
                "error='LayersNotFound' is not an error code of ECR or AWS: the nearest one is "
                "'LayersNotFoundException'"
            ),
        ),
        ({"status": 99}, "status=99: "),
        ({"status": 204}, "status=204 has no body"),
        ({"latency": -1}, "latency=-1: "),
        ({"latency": float("nan")}, "latency=nan: "),
        ({"latency": (2.0, 1.0)}, "latency=(2.0, 1.0) must be (low, high)"),
        ({"drip": 0}, "drip=0: "),
        ({"cut_at": -1}, "cut_at=-1: "),
        ({"drop_rows": -1}, "drop_rows=-1: "),
        ({"body": "text"}, "body='text': "),
        ({"redirect_to": "http://x\r\nset-cookie: y"}, "redirect_to='http"),
        ({"redirect_to": "http://x", "status": 200}, "redirect_to needs a status of"),
        ({"error": ERROR, "body": b""}, "error and body exclude each other"),
        ({"message": "m", "latency": 1}, "message needs error"),
        ({"accept_bytes": 1}, "accept_bytes needs operation='UploadLayerPart'"),
        ({"accept_bytes": 0, "operation": "UploadLayerPart"}, "accept_bytes=0: "),
        ({"lose_layer": "sha256:" + "0" * 64}, "lose_layer needs operation='PutImage'"),
        ({"lose_layer": "sha256:0", "operation": "PutImage"}, "lose_layer='sha256:0': "),
        ({"reset": True, "error": ERROR}, "reset without cut_at"),
        ({"reset": True, "drip": 1}, "reset without cut_at"),
        (
            {"shuffle": True, "error": ERROR},
            "shuffle, drop_rows, double_rows, accept_bytes and lose_layer need the registry's own",
        ),
        (
            {"drop_rows": 1, "reset": True},
            "shuffle, drop_rows, double_rows, accept_bytes and lose_layer need the registry's own",
        ),
    ],
    ids=named,
)
def test_invalid_options_are_rejected(options: Any, says: str) -> None:
    """An option that breaks its rule, or contradicts another, raises ValueError with the rule."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (its text is compared)
        Faults().add(**options)
    assert str(caught.value)[: len(says)] == says


def test_type_checkers_see_the_options_there_are() -> None:
    """`FaultOptions` and the script have the same options."""
    assert set(FaultOptions.__annotations__) == set(Script.model_fields)


# -- on both servers


async def seen(options: Any, *, in_memory: bool) -> tuple[str, dict[str, dict[str, int]]]:
    """Return what aiobotocore makes of one request with a fault, and the statistics."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=0.3)

    async with LocalECR(in_memory=in_memory) as ecr:
        ecr.create_repository("app")
        ecr.faults.add(**options)
        session: Any = ecr.session()

        async with session.create_client(
            "ecr", endpoint_url=ecr.endpoint_url, config=config
        ) as client:
            try:
                answer = await client.batch_check_layer_availability(
                    repositoryName="app", layerDigests=DIGESTS
                )
            except ClientError as error:
                result = str(error)
            except BotoCoreError as error:
                result = type(error).__name__
            else:
                result = repr(
                    {name: value for name, value in answer.items() if name != "ResponseMetadata"}
                )

    return (
        result,
        ecr.stats.by_operation,
    )  # once closed: over HTTP, a request that its caller gave up may outlive the client


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "options",
    [
        {"error": "ThrottlingException"},
        {"status": 503},
        {"body": b"<html>"},
        {"latency": 9},
        {"latency": 0.01, "error": "ServerException"},
        {"reset": True},
        {"cut_at": 0},
        {"cut_at": 9},
        {"cut_at": 9, "reset": True},
        {"drip": 1e4},
        {"drip": 2},
        {"shuffle": True},
        {"drop_rows": 3},
        {"double_rows": 3, "shuffle": True},
    ],
    ids="+".join,
)
async def test_both_servers_apply_a_fault_alike(options: Any) -> None:
    """A client sees the same over HTTP and in memory, and the statistics count the same."""
    async with asyncio.timeout(20):
        assert await seen(options, in_memory=True) == await seen(options, in_memory=False)


@pytest.mark.asyncio
async def test_a_cut_at_the_first_byte_still_has_its_headers() -> None:
    """Over HTTP, `cut_at=0` sends the headers of the complete response and no byte of its body."""
    async with LocalECR() as ecr:
        ecr.faults.add(cut_at=0)
        host, port = ecr.endpoint_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: {TARGET_PREFIX}.{CHECK}\r\n"
        writer.write(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
        head_sent, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()

    assert (head_sent.split(b"\r\n")[0], body) == (b"HTTP/1.1 400 Bad Request", b"")
