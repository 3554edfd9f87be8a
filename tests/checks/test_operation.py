"""ECR's answer, read strictly: what settles a digest, what settles nothing, and what is no answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ecr_layer_client import (
    Layer,
    LayerAvailability,
    LayerFailure,
    LayerFailureCode,
    Repository,
    ResponseError,
)
from ecr_layer_client._checks.operation import CHECK, Check, Settled

ONE, TWO, THREE = ("sha256:" + letter * 64 for letter in "abc")


def layer_row(digest: str, availability: str = "AVAILABLE", **members: Any) -> dict[str, Any]:
    """Return a row as ECR writes it."""
    return {"layerDigest": digest, "layerAvailability": availability, **members}


def failure_row(digest: str, code: str = "MissingLayerDigest", **members: Any) -> dict[str, Any]:
    """Return a row as ECR writes it."""
    return {"layerDigest": digest, "failureCode": code, **members}


def body(*layers: Any, failures: Any = ()) -> bytes:
    """Return an answer's bytes."""
    return json.dumps({"layers": list(layers), "failures": list(failures)}).encode()


HELD = layer_row(ONE, layerSize=32, mediaType="text/plain")
ABSENT = layer_row(TWO, "UNAVAILABLE")
FAILED = failure_row(THREE, "InvalidLayerDigest", failureReason="bad")
OUTCOMES = {
    ONE: Layer(
        digest=ONE, availability=LayerAvailability.AVAILABLE, size=32, media_type="text/plain"
    ),
    TWO: Layer(digest=TWO, availability=LayerAvailability.UNAVAILABLE),
    THREE: LayerFailure(digest=THREE, code=LayerFailureCode.INVALID_LAYER_DIGEST, reason="bad"),
}


def settle(answer: bytes, asked: list[str], *, again: bool = False) -> Settled:
    """Read an answer to a check."""
    return Check(Repository(name="app"), asked, again).parse(answer)


def test_operation() -> None:
    """The operation is spelled as AWS spells it."""
    assert CHECK == "BatchCheckLayerAvailability"


@pytest.mark.parametrize(
    ("repository", "members"),
    [
        pytest.param(
            Repository(name="app"),
            {"repositoryName": "app", "layerDigests": [ONE]},
            id="own registry",
        ),
        pytest.param(
            Repository(name="app", registry_id="123456789012", region="eu-west-1"),
            {"repositoryName": "app", "layerDigests": [ONE], "registryId": "123456789012"},
            id="another registry",
        ),
    ],
)
def test_request(repository: Repository, members: dict[str, Any]) -> None:
    """A request names the registry only where the repository does."""
    assert json.loads(Check(repository, [ONE]).request()) == members


def test_request_of_several_digests() -> None:
    """The digests of a request are an array, and their number is the request's count."""
    digests = [ONE, TWO, "a-b_c+d.9:0f"]
    check = Check(Repository(name="app"), digests)
    assert (json.loads(check.request())["layerDigests"], check.count) == (digests, 3)


@pytest.mark.parametrize(
    "asked", [[ONE, TWO, THREE], [THREE, TWO, ONE]], ids=["in order", "reversed"]
)
def test_whole_answer(asked: list[str]) -> None:
    """Each digest is settled by its own row, whatever the order of rows."""
    settled = settle(body(HELD, ABSENT, failures=[FAILED]), asked)
    assert (settled.outcomes, settled.ignored) == (OUTCOMES, 0)


@pytest.mark.parametrize(
    ("answer", "digests", "ignored"),
    [
        pytest.param(body(HELD), [ONE], 0, id="one row"),
        pytest.param(body(HELD, HELD, HELD), [ONE], 2, id="doubled"),
        pytest.param(body(HELD, layer_row("sha256:dd")), [ONE], 1, id="foreign"),
        pytest.param(body(HELD, layer_row(TWO.upper())), [ONE], 1, id="in a spelling not asked"),
        pytest.param(body(HELD, layer_row("")), [ONE], 1, id="of an empty digest"),
        pytest.param(
            body(HELD, failures=[failure_row("sha256:dd")]), [ONE], 1, id="foreign failure"
        ),
        pytest.param(body(HELD, ABSENT), [ONE, TWO], 0, id="two of three"),
    ],
)
def test_rows_that_settle_nothing_are_counted(
    answer: bytes, digests: list[str], ignored: int
) -> None:
    """Doubled and foreign rows settle nothing and are counted; what no row mentions is left."""
    settled = settle(answer, [ONE, TWO, THREE])
    assert (settled.outcomes, settled.ignored) == (
        {digest: OUTCOMES[digest] for digest in digests},
        ignored,
    )


def test_failure_outweighs_a_layer() -> None:
    """Where a layer and a failure contradict each other, the failure holds and the layer is counted."""
    settled = settle(body(layer_row(THREE), failures=[FAILED]), [THREE])
    assert (settled.outcomes, settled.ignored) == ({THREE: OUTCOMES[THREE]}, 1)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param(
            body(layer_row(ONE, "UNAVAILABLE"), layer_row(ONE)),
            Layer(digest=ONE, availability=LayerAvailability.UNAVAILABLE),
            id="layers",
        ),
        pytest.param(
            body(failures=[failure_row(ONE, "InvalidLayerDigest"), failure_row(ONE)]),
            LayerFailure(digest=ONE, code=LayerFailureCode.INVALID_LAYER_DIGEST),
            id="failures",
        ),
    ],
)
def test_first_of_two_rows_holds(answer: bytes, outcome: object) -> None:
    """Of two rows of a kind that contradict each other, the first holds and the other is counted."""
    settled = settle(answer, [ONE])
    assert (settled.outcomes, settled.ignored) == ({ONE: outcome}, 1)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"{}", id="no member"),
        pytest.param(body(), id="no row"),
        pytest.param(b'{"layers":[]}', id="layers alone"),
        pytest.param(body(layer_row("sha256:dd")), id="foreign rows alone"),
        pytest.param(
            b'{"Layers":[{"layerDigest":"' + ONE.encode() + b'","layerAvailability":"AVAILABLE"}]}',
            id="another member",
        ),
        pytest.param(body(HELD)[:-1] + b',"layers":[]}', id="doubled member"),
    ],
)
def test_answer_that_settles_nothing(answer: bytes) -> None:
    """An answer that settles nothing asked is no answer.

    Asked again for what an answer left out, it may be.
    """
    with pytest.raises(
        ResponseError,
        match=r"^ECR's response settles none of the 2 digests of the request: it has [0-9] rows$",
    ):
        settle(answer, [ONE, TWO])
    assert settle(answer, [ONE, TWO], again=True).outcomes == {}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \n", id="blank"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"AVAILABLE"', id="a string"),
        pytest.param(b"\xef\xbb\xbf" + body(HELD), id="BOM"),
        pytest.param(body(HELD).decode().encode("utf-16"), id="UTF-16"),
        pytest.param(b"<html><body>503 Service Unavailable</body></html>", id="HTML"),
        pytest.param(body(HELD) + b"x", id="more after it"),
        pytest.param(body(HELD) + body(HELD), id="twice"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"layers":null,"failures":[]}', id="null list"),
        pytest.param(b'{"layers":[],"failures":null}', id="null failures"),
        pytest.param(b'{"layers":{}}', id="a map in place of a list"),
        pytest.param(b'{"layers":""}', id="a string in place of a list"),
        pytest.param(body(HELD, None), id="null row"),
        pytest.param(body(HELD, []), id="a list in place of a row"),
        pytest.param(body(HELD, {}), id="empty row"),
        pytest.param(body(HELD, {"layerDigest": TWO}), id="row without an availability"),
        pytest.param(body(HELD, {"layerAvailability": "AVAILABLE"}), id="row without a digest"),
        pytest.param(
            body(HELD, {"digest": TWO, "availability": "AVAILABLE"}), id="row with our own names"
        ),
        pytest.param(
            body(HELD, {"layerDigest": TWO, "layerAvailability": None}), id="null availability"
        ),
        pytest.param(
            body(HELD, {"layerDigest": TWO, "layerAvailability": 1}), id="availability is a number"
        ),
        pytest.param(
            body(HELD, {"layerDigest": TWO, "layerAvailability": True}), id="availability is a bool"
        ),
        pytest.param(
            body(HELD, {"layerDigest": None, "layerAvailability": "AVAILABLE"}), id="null digest"
        ),
        pytest.param(
            body(HELD, {"layerDigest": 7, "layerAvailability": "AVAILABLE"}),
            id="digest is a number",
        ),
        pytest.param(body(HELD, layer_row(TWO, layerSize="32")), id="size is a string"),
        pytest.param(body(HELD, layer_row(TWO, layerSize=32.0)), id="size is a float"),
        pytest.param(body(HELD, layer_row(TWO, layerSize=True)), id="size is a bool"),
        pytest.param(body(HELD, layer_row(TWO, layerSize=-1)), id="size is negative"),
        pytest.param(body(HELD, layer_row(TWO, layerSize=2**63)), id="size beyond 64 bits"),
        pytest.param(body(HELD, layer_row(TWO, layerSize=float("nan"))), id="size is NaN"),
        pytest.param(body(HELD, layer_row(TWO, mediaType=7)), id="media type is a number"),
        pytest.param(
            body(HELD, failures=[failure_row(TWO, failureReason=7)]), id="reason is a number"
        ),
        pytest.param(body(HELD, failures=[{"layerDigest": TWO}]), id="failure without a code"),
        pytest.param(
            body(HELD, failures=[{"layerDigest": TWO, "failureCode": None}]), id="null code"
        ),
        pytest.param(body(HELD, failures=[layer_row(TWO)]), id="a layer among the failures"),
        pytest.param(body(failure_row(TWO), HELD), id="a failure among the layers"),
        pytest.param(body(layer_row(ONE, "\ud800")), id="lone surrogate"),
        pytest.param(body(HELD).replace(b"text", b"te\xff"), id="not UTF-8"),
        pytest.param(body(HELD).replace(b"text", b"te\nxt"), id="raw newline in a string"),
    ],
)
@pytest.mark.parametrize("again", [False, True], ids=["first time", "again"])
def test_what_is_no_answer(answer: bytes, *, again: bool) -> None:
    """What breaks ECR's contract anywhere is no answer at all, asked for the first time or again."""
    with pytest.raises(ResponseError, match=r"^ECR's response breaks its contract: "):
        settle(answer, [ONE, TWO], again=again)


@pytest.mark.parametrize("again", [False, True], ids=["first time", "again"])
def test_answer_cut_at_every_byte(*, again: bool) -> None:
    """An answer of three rows, cut at any byte, is never an answer."""
    whole = body(HELD, ABSENT, failures=[FAILED])
    settled: list[int] = []
    for cut in range(len(whole)):
        try:
            settle(whole[:cut], [ONE, TWO, THREE], again=again)
        except ResponseError:
            continue
        settled.append(cut)
    assert settled == []


@pytest.mark.parametrize(
    "member",
    ["note", "layerState", "outcome", "rawAvailability", "raw_availability", "digest", "size"],
)
@pytest.mark.parametrize("value", ["x", None, [1], {"a": 1}], ids=repr)
def test_members_of_tomorrow_are_left_alone(member: str, value: object) -> None:
    """A member that ECR's model does not have changes nothing, whatever its name and type."""
    rows = {
        "layers": [HELD | {member: value}],
        "failures": [failure_row(TWO) | {member: value}],
        member: value,
    }
    assert settle(json.dumps(rows).encode(), [ONE, TWO]) == settle(
        body(HELD, failures=[failure_row(TWO)]), [ONE, TWO]
    )


def test_null_where_ecr_may_say_nothing() -> None:
    """Null in place of a size, a media type or a reason says nothing."""
    settled = settle(
        body(
            layer_row(ONE, layerSize=None, mediaType=None),
            failures=[failure_row(TWO, failureReason=None)],
        ),
        [ONE, TWO],
    )
    assert settled.outcomes == {
        ONE: Layer(digest=ONE, availability=LayerAvailability.AVAILABLE),
        TWO: LayerFailure(digest=TWO, code=LayerFailureCode.MISSING_LAYER_DIGEST),
    }


@pytest.mark.parametrize(
    "spelling",
    ["FROZEN", "available", "", "UNKNOWN", "\x1b[31m\n", "x" * 10_000],
    ids=lambda text: ascii(text[:20]),
)
def test_unknown_values_keep_their_spelling(spelling: str) -> None:
    """A value this version does not know reads as UNKNOWN with ECR's own spelling.

    Its neighbours are left alone.
    """
    answer = body(
        HELD,
        layer_row(TWO, spelling),
        failures=[failure_row("sha256:dd"), failure_row(THREE, spelling)],
    )
    settled = settle(answer, [ONE, TWO, THREE])
    assert settled.outcomes == {
        ONE: OUTCOMES[ONE],
        TWO: Layer(digest=TWO, availability=LayerAvailability.UNKNOWN, raw_availability=spelling),
        THREE: LayerFailure(digest=THREE, code=LayerFailureCode.UNKNOWN, raw_code=spelling),
    }


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"\n\x1b[31mERROR root: forged" * 1_000, id="no JSON"),
        pytest.param(json.dumps({"layers": "\n\x1b[31m" * 10_000}).encode(), id="wrong type"),
        pytest.param(
            json.dumps({"layers": [{"layerDigest": {"\n" * 10_000: "x"}}]}).encode(),
            id="wrong type deep within",
        ),
    ],
)
def test_message_is_bounded(answer: bytes) -> None:
    """Hostile bytes make a message of one bounded, printable line."""
    with pytest.raises(ResponseError) as caught:
        settle(answer, [ONE])
    assert (len(str(caught.value)) < 500, str(caught.value).isprintable()) == (True, True)


def test_refusal_says_where() -> None:
    """A malformed row is named with what is wrong, the size of the body and the value."""
    answer = body(HELD, layer_row(TWO, layerSize="32"))
    with pytest.raises(ResponseError) as caught:
        settle(answer, [ONE, TWO])
    assert str(caught.value) == (
        f"ECR's response breaks its contract: layers.1.layerSize: Input should be a valid integer, in {len(answer)} bytes: '32'"
    )
