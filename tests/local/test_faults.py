"""Faults are scripts: what each does to an answer, which requests it hits, and that both faces play it alike."""

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
T = TypeVar("T")


def in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop whose clock begins at 0 and jumps."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def named(value: Any) -> str:
    """Return the test id of options."""
    return "" if isinstance(value, str) else "+".join(value)


async def received(reply: Reply) -> list[bytes]:
    """Return the chunks of a reply as they are sent, and b"reset" at the end when the connection is reset."""
    assert reply.stream is not None
    chunks: list[bytes] = []
    with contextlib.suppress(ConnectionResetError):
        async for chunk in reply.stream(reply.body):
            # A list comprehension would lose them at the reset.
            chunks.append(chunk)  # noqa: PERF401
        return chunks
    return [*chunks, b"reset"]


class Played:
    """A registry with one repository, its faults, and what comes back."""

    def __init__(self, *, seed: int = 0, quotas: Quotas | None = None) -> None:
        """Play no fault yet."""
        registry = Registry(account="123456789012", region="us-east-1")
        registry.run("CreateRepository", {"repositoryName": "app"})
        self.faults = Faults(seed)
        self.service = Service(registry, [self.faults, quotas or Quotas()])

    async def ask(self, operation: str = CHECK, **members: Any) -> Reply:
        """Return the reply to one request; without members, to a check of all digests."""
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
        """Ask so many times and return how each request ended."""

        async def main() -> list[str]:
            return [await self.outcome(operation) for _ in range(count)]

        return in_virtual_time(main())

    async def outcome(self, operation: str = CHECK) -> str:
        """Ask once and return how it ended."""
        try:
            return (await self.ask(operation)).outcome
        except ConnectionResetError:
            return "reset"

    def rows(self) -> list[str]:
        """Ask once and return the digests of the answer's rows."""
        return [
            row["layerDigest"] for row in json.loads(in_virtual_time(self.ask()).body[:])["layers"]
        ]

    def body(self) -> tuple[list[tuple[float, bytes]], bytes]:
        """Ask once and return the chunks that are sent, each with its time, and the body that was meant."""

        async def main() -> tuple[list[tuple[float, bytes]], bytes]:
            reply = await self.ask()
            assert reply.stream is not None
            return [
                (asyncio.get_running_loop().time(), chunk)
                async for chunk in reply.stream(reply.body)
            ], reply.body[:]

        return in_virtual_time(main())


# -- which requests
# -------------------------------------------------------------------------------------------------------


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
    """`operation`, `after` and `times` choose the requests."""
    played = Played()
    played.faults.add(error="X", **options)
    assert "".join("X" if outcome == "X" else "." for outcome in played.outcomes(5)) == expected


def test_faults_of_any_operation_hit_every_operation() -> None:
    """Without `operation`, requests of all operations count against `times` together."""
    played = Played()
    played.faults.add(error="X", times=2)
    assert played.outcomes(1) + played.outcomes(2, "DescribeRepositories") == ["X", "X", "ok"]


def test_answering_faults_follow_each_other() -> None:
    """Of two faults that answer, the second waits until the first is used up."""
    played = Played()
    played.faults.add(error="A", times=2)
    played.faults.add(reset=True, times=1)
    assert played.outcomes(4) == ["A", "A", "reset", "ok"]


def test_after_counts_requests_that_other_faults_answered() -> None:
    """`after` counts requests from the start of the script, whoever answers them."""
    played = Played()
    played.faults.add(error="A", times=2)
    played.faults.add(error="B", after=3)
    assert played.outcomes(5) == ["A", "A", "ok", "B", "B"]


def test_the_same_seed_hits_the_same_requests() -> None:
    """A probability is drawn from the seed."""
    runs = [Played(seed=7), Played(seed=7)]
    for played in runs:
        played.faults.add(error="X", probability=0.3)
    assert runs[0].outcomes(100) == runs[1].outcomes(100)


def test_a_seed_can_be_given_again() -> None:
    """`faults.seed` starts the draws anew."""
    played = Played(seed=7)
    played.faults.add(error="X", probability=0.3)
    first = played.outcomes(100)
    played.faults.seed(7)
    assert played.outcomes(100) == first


def test_a_probability_hits_that_share() -> None:
    """Of 1,000 requests, a probability of 0.3 hits about 300: 301 with this seed."""
    played = Played(seed=7)
    fault = played.faults.add(error="X", probability=0.3)
    assert (Counter(played.outcomes(1000))["X"], fault.seen) == (fault.played, 1000)
    assert 250 < fault.played < 350


def test_a_fault_counts_what_it_played() -> None:
    """`played` is the number of requests hit."""
    played = Played()
    fault = played.faults.add(error="X", times=2)
    played.outcomes(5)
    assert fault.played == 2


def test_a_removed_fault_hits_no_more() -> None:
    """`remove` ends a fault and keeps its count; twice is fine."""
    played = Played()
    fault, other = played.faults.add(error="X"), played.faults.add(latency=1)
    played.outcomes(1)
    fault.remove()
    fault.remove()
    assert (played.outcomes(1), fault.played, other.played) == (["latency"], 1, 1)


def test_clear_removes_all() -> None:
    """`clear` ends every fault."""
    played = Played()
    played.faults.add(error="X")
    played.faults.add(latency=1)
    played.faults.clear()
    assert (played.outcomes(1), len(played.faults)) == (["ok"], 0)


def test_a_used_up_fault_is_gone() -> None:
    """A fault that was played `times` times is not kept."""
    played = Played()
    played.faults.add(error="X", times=1)
    assert len(played.faults) == 1
    played.outcomes(1)
    assert len(played.faults) == 0


def test_faults_say_what_they_are() -> None:
    """A test report shows the options given and the count."""
    played = Played()
    played.faults.add(error="X", times=2)
    assert repr(played.faults) == "<Faults [<Fault times=2, error='X'; played 0>]>"


# -- what it does: answers in the registry's place
# --------------------------------------------------------------------


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
            {"__type": "Other", "message": "The local ECR plays this error"},
        ),
    ],
    ids=["throttled", "server", "429", "503", "own-status"],
)
def test_an_error_comes_as_aws_answers_it(
    options: Any, status: int, answer: dict[str, str]
) -> None:
    """An error has AWS's status and wording unless told otherwise."""
    played = Played()
    played.faults.add(**options)
    reply = in_virtual_time(played.ask())
    assert (reply.status, json.loads(reply.body[:]), reply.outcome) == (
        status,
        answer,
        options["error"],
    )


def test_a_bare_status_has_an_html_body() -> None:
    """`status` alone is a load balancer's page."""
    played = Played()
    played.faults.add(status=503)
    reply = in_virtual_time(played.ask())
    assert (reply.status, reply.headers["content-type"], reply.body[:18]) == (
        503,
        "text/html",
        b"<html><head><title",
    )


@pytest.mark.parametrize(
    "body", [b"", b"null", b"\xef\xbb\xbf{}", b"<html>"], ids=["empty", "null", "bom", "html"]
)
def test_a_body_is_sent_as_it_is(body: bytes) -> None:
    """`body` is the whole body of a 200."""
    played = Played()
    played.faults.add(body=body)
    reply = in_virtual_time(played.ask())
    assert (reply.status, reply.body, reply.outcome) == (200, body, "body")


def test_a_body_may_have_a_status() -> None:
    """`body` and `status` go together."""
    played = Played()
    played.faults.add(body=b"{}", status=500)
    assert in_virtual_time(played.ask()).status == 500


@pytest.mark.parametrize(
    ("options", "status"), [({}, 307), ({"status": 302}, 302)], ids=["default", "302"]
)
def test_a_redirect_names_its_target(options: Any, status: int) -> None:
    """`redirect_to` answers 307 with a Location."""
    played = Played()
    played.faults.add(redirect_to="http://127.0.0.1:9/x", **options)
    reply = in_virtual_time(played.ask())
    assert (reply.status, reply.headers["location"], reply.outcome) == (
        status,
        "http://127.0.0.1:9/x",
        "redirect_to",
    )


@pytest.mark.parametrize(
    "options",
    [
        {"error": "X"},
        {"status": 503},
        {"body": b"{}"},
        {"redirect_to": "http://x"},
        {"reset": True},
    ],
    ids="+".join,
)
def test_the_operation_does_not_run_when_a_fault_answers(options: Any) -> None:
    """What answers in the registry's place, or hangs up, leaves the registry as it was."""
    played = Played()
    played.faults.add(operation="InitiateLayerUpload", **options)

    async def main() -> int:
        await played.outcome("InitiateLayerUpload")
        return len(played.service.registry.repository("app").uploads)

    assert in_virtual_time(main()) == 0


# -- what it does: time
# -------------------------------------------------------------------------------------------------


async def time_of(played: Played) -> float:
    """Return the seconds one request takes."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    await played.outcome()
    return loop.time() - start


@pytest.mark.parametrize(
    "more",
    [{}, {"error": "X"}, {"reset": True}, {"cut_at": 3}],
    ids=["alone", "error", "reset", "cut"],
)
def test_latency_is_waited_first(more: Any) -> None:
    """Latency passes before whatever else a fault does."""
    played = Played()
    played.faults.add(latency=1.5, **more)
    assert in_virtual_time(time_of(played)) == 1.5


def test_latencies_add_up() -> None:
    """Two faults that wait make a request wait for both, and a third may then answer."""
    played = Played()
    played.faults.add(latency=1)
    played.faults.add(latency=2)
    played.faults.add(error="X")
    assert (in_virtual_time(time_of(played)), played.outcomes(1)) == (3.0, ["X"])


def test_a_range_of_latency_is_drawn_within_it() -> None:
    """`(low, high)` is drawn anew for each request, from the seed."""
    played = Played()
    played.faults.add(latency=(1.0, 2.0))
    times = [in_virtual_time(time_of(played)) for _ in range(50)]
    assert (all(1.0 <= each <= 2.0 for each in times), len(set(times))) == (True, 50)


def test_a_drip_takes_its_time() -> None:
    """A body dripped at 100 bytes a second comes in chunks of a tenth of a second, whole."""
    played = Played()
    played.faults.add(drip=100.0)
    chunks, body = played.body()
    assert b"".join(chunk for _, chunk in chunks) == body
    assert {len(chunk) for _, chunk in chunks[:-1]} == {10}
    assert chunks[-1][0] == pytest.approx(len(body) / 100)


def test_a_slow_drip_sends_single_bytes() -> None:
    """Below ten bytes a second, each byte comes alone: a read timeout shorter than the whole never fires."""
    played = Played()
    played.faults.add(drip=2.0)
    assert [(at, len(chunk)) for at, chunk in played.body()[0][:3]] == [
        (0.5, 1),
        (1.0, 1),
        (1.5, 1),
    ]


# -- what it does: cuts and resets
# ----------------------------------------------------------------------------------


def test_a_cut_body_ends_early() -> None:
    """`cut_at` sends that many bytes of the body that was meant."""
    played = Played()
    played.faults.add(cut_at=10)
    chunks, body = played.body()
    assert [chunk for _, chunk in chunks] == [body[:10]]


def test_a_body_cut_at_its_end_is_whole() -> None:
    """A cut at or past the end cuts nothing, and does not count as one."""
    played = Played()
    length = len(in_virtual_time(played.ask()).body)
    played.faults.add(cut_at=length)
    reply = in_virtual_time(played.ask())
    assert (reply.stream, reply.outcome) == (None, "ok")


def test_a_cut_may_be_a_reset() -> None:
    """`cut_at` with `reset` resets after those bytes."""
    played = Played()
    played.faults.add(cut_at=10, reset=True)

    async def main() -> tuple[str, list[bytes]]:
        reply = await played.ask()
        return reply.outcome, await received(reply)

    assert in_virtual_time(main()) == ("reset", [b'{"layers":', b"reset"])


def test_a_cut_operation_has_run() -> None:
    """Unlike a reset before the answer, a cut answer is the answer of an operation that ran."""
    played = Played()
    played.faults.add(cut_at=0)
    in_virtual_time(played.ask("InitiateLayerUpload", repositoryName="app"))
    assert len(played.service.registry.repository("app").uploads) == 1


def test_cut_and_drip_combine() -> None:
    """A body can be dripped up to where it is cut."""
    played = Played()
    played.faults.add(cut_at=25, drip=100.0)
    assert [len(chunk) for _, chunk in played.body()[0]] == [10, 10, 5]


def test_a_played_answer_can_be_cut() -> None:
    """An error of one fault can be cut by the same fault."""
    played = Played()
    played.faults.add(error="ServerException", cut_at=5)
    assert [chunk for _, chunk in played.body()[0]] == [b'{"__t']


def test_what_a_quota_refuses_can_be_cut() -> None:
    """Faults lie outside the quotas: a refusal is cut like any other answer."""
    played = Played(quotas=Quotas(1))
    played.faults.add(cut_at=5)
    assert played.outcomes(2) == ["cut_at", "cut_at"]


# -- what it does: rows
# -----------------------------------------------------------------------------------------------


def test_shuffled_rows_are_the_same_rows() -> None:
    """`shuffle` changes the order and nothing else."""
    played = Played()
    played.faults.add(shuffle=True)
    rows = played.rows()
    assert rows != DIGESTS
    assert sorted(rows) == DIGESTS


def test_two_rows_are_shuffled_for_certain() -> None:
    """Even two rows come in another order, whatever the seed draws."""
    played = Played()
    played.faults.add(shuffle=True)

    async def main() -> set[str]:
        members: dict[str, Any] = {"repositoryName": "app", "layerDigests": DIGESTS[:2]}
        return {
            json.loads((await played.ask(**members)).body[:])["layers"][0]["layerDigest"]
            for _ in range(10)
        }

    assert in_virtual_time(main()) == {DIGESTS[1]}


@pytest.mark.parametrize(
    ("count", "left"), [(1, ROWS - 1), (ROWS, 0), (ROWS + 1, 0)], ids=["one", "all", "more"]
)
def test_dropped_rows_are_missing(count: int, left: int) -> None:
    """`drop_rows` leaves out that many rows, and keeps the order of the others."""
    played = Played()
    played.faults.add(drop_rows=count)
    rows = played.rows()
    assert (len(rows), rows) == (left, [digest for digest in DIGESTS if digest in rows])


@pytest.mark.parametrize(("count", "doubled"), [(1, 1), (ROWS + 1, ROWS)], ids=["one", "all"])
def test_doubled_rows_come_twice(count: int, doubled: int) -> None:
    """`double_rows` repeats that many rows."""
    played = Played()
    played.faults.add(double_rows=count)
    counts = Counter(played.rows())
    assert (sorted(counts), sum(counts.values())) == (DIGESTS, ROWS + doubled)


def test_failures_are_rows_too() -> None:
    """Rows of `failures` are dropped like those of `layers`."""
    played = Played()
    played.faults.add(drop_rows=1)
    reply = in_virtual_time(played.ask(repositoryName="app", layerDigests=["x"]))
    assert json.loads(reply.body[:]) == {"layers": [], "failures": []}


def test_a_refusal_has_no_rows_to_change() -> None:
    """A refused request keeps its answer and its code."""
    played = Played()
    played.faults.add(drop_rows=1)
    reply = in_virtual_time(played.ask(repositoryName="nope", layerDigests=["x"]))
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
def test_a_request_counts_under_its_gravest_fault(options: Any, outcome: str) -> None:
    """The statistics name what was done to a request."""
    played = Played()
    played.faults.add(**options)
    played.outcomes(1)
    assert played.service.stats.by_operation == {CHECK: {outcome: 1}}


# -- nonsense
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "a fault has to do something"),
        ({"times": 3}, "a fault has to do something"),
        ({"eror": "X"}, "a fault has no option 'eror': it has operation, times"),
        ({"error": "X", "operation": "BatchCheck"}, "operation='BatchCheck' is not served"),
        ({"error": "X", "times": 0}, "times=0: "),
        ({"error": "X", "times": True}, "times=True: "),
        ({"error": "X", "after": -1}, "after=-1: "),
        ({"error": "X", "probability": 1.5}, "probability=1.5: "),
        ({"error": ""}, "error='': "),
        ({"status": 99}, "status=99: "),
        ({"status": 204}, "status=204 has no body"),
        ({"latency": -1}, "latency=-1: "),
        ({"latency": float("nan")}, "latency=nan: "),
        ({"latency": (2.0, 1.0)}, "latency=(2.0, 1.0) is (low, high)"),
        ({"drip": 0}, "drip=0: "),
        ({"cut_at": -1}, "cut_at=-1: "),
        ({"drop_rows": -1}, "drop_rows=-1: "),
        ({"body": "text"}, "body='text': "),
        ({"redirect_to": "http://x\r\nset-cookie: y"}, "redirect_to='http"),
        ({"redirect_to": "http://x", "status": 200}, "redirect_to goes with a status of"),
        ({"error": "X", "body": b""}, "error and body exclude each other"),
        ({"message": "m", "latency": 1}, "message is the message of error"),
        ({"reset": True, "error": "X"}, "reset without cut_at"),
        ({"reset": True, "drip": 1}, "reset without cut_at"),
        ({"shuffle": True, "error": "X"}, "only the registry's own answer"),
        ({"drop_rows": 1, "reset": True}, "only the registry's own answer"),
    ],
    ids=named,
)
def test_nonsense_is_refused(options: Any, says: str) -> None:
    """An option that breaks its rule, or can't go with another, is a ValueError that says so."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (its text is compared)
        Faults().add(**options)
    assert str(caught.value)[: len(says)] == says


def test_type_checkers_see_the_options_there_are() -> None:
    """`FaultOptions` and the script name the same options."""
    assert set(FaultOptions.__annotations__) == set(Script.model_fields)


# -- on both faces
# --------------------------------------------------------------------------------------------------


async def seen(options: Any, *, in_memory: bool) -> tuple[str, dict[str, dict[str, int]]]:
    """Return what aiobotocore makes of one request under a fault, and the statistics."""
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
async def test_both_faces_play_alike(options: Any) -> None:
    """A client sees the same over HTTP and in memory, and the statistics count the same."""
    async with asyncio.timeout(20):
        assert await seen(options, in_memory=True) == await seen(options, in_memory=False)


@pytest.mark.asyncio
async def test_a_cut_at_the_first_byte_still_has_its_headers() -> None:
    """Over HTTP, `cut_at=0` sends the headers of the whole answer and no byte of its body."""
    async with LocalECR() as ecr:
        ecr.faults.add(cut_at=0)
        host, port = ecr.endpoint_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: {TARGET_PREFIX}.{CHECK}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
        )
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert (head.split(b"\r\n")[0], body) == (b"HTTP/1.1 400 Bad Request", b"")
