"""A check's request, and how its response is read strictly: which rows settle a digest.

Mutated responses are in `tests/property/test_responses.py`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ecr_layer_client import (
    Layer,
    LayerAvailability,
    LayerFailure,
    LayerFailureCode,
    LayerOutcome,
    Repository,
    ResponseError,
)
from ecr_layer_client._checks import operation
from ecr_layer_client._checks.operation import CHECK, Check
from ecr_layer_client._models.outcomes import outcome_of
from ecr_layer_client._transport import contract
from ecr_layer_client.images import _operations

ONE, TWO, THREE = ("sha256:" + letter * 64 for letter in "abc")
APP = Repository(name="app")
OF_OTHERS = Repository(name="app", registry_id="123456789012", region="eu-west-1")


def layer_row(digest: str, availability: Any = "AVAILABLE", **members: Any) -> dict[str, Any]:
    """Return a row as ECR writes it."""
    return {"layerDigest": digest, "layerAvailability": availability, **members}


def failure_row(digest: str, code: Any = "MissingLayerDigest", **members: Any) -> dict[str, Any]:
    """Return a row as ECR writes it."""
    return {"layerDigest": digest, "failureCode": code, **members}


def body(*layers: Any, failures: Any = ()) -> bytes:
    """Return the body of a response."""
    return json.dumps({"layers": list(layers), "failures": list(failures)}).encode()


HELD = layer_row(ONE, layerSize=32, mediaType="text/plain")
ABSENT = layer_row(TWO, "UNAVAILABLE")
FAILED = failure_row(THREE, "InvalidLayerDigest", failureReason="bad")
AVAILABLE, UNAVAILABLE = LayerAvailability.AVAILABLE, LayerAvailability.UNAVAILABLE
INVALID = LayerFailureCode.INVALID_LAYER_DIGEST
OUTCOMES: dict[str, LayerOutcome] = {
    ONE: Layer(digest=ONE, availability=AVAILABLE, size=32, media_type="text/plain"),
    TWO: Layer(digest=TWO, availability=UNAVAILABLE),
    THREE: LayerFailure(digest=THREE, code=INVALID, reason="bad"),
}


@pytest.mark.parametrize(
    ("adapter", "rows"),
    [
        *((operation._BODY, rows) for rows in ("layers", "failures")),
        *((_operations._IMAGES, rows) for rows in ("images", "failures")),
        (_operations._LISTED, "imageIds"),
    ],
)
def test_only_the_first_wrong_row_is_looked_for(adapter: TypeAdapter[Any], rows: str) -> None:
    """A response of a million wrong rows is refused at the first of them."""
    with pytest.raises(ValidationError) as caught:
        adapter.validate_json(json.dumps({rows: [1] * 10}), by_alias=True)
    assert caught.value.error_count() == 1


def settle(
    response: bytes, digests: list[str], *, again: bool = False
) -> tuple[dict[str, LayerOutcome], int]:
    """Read the response to a check; return the outcomes, and the number of ignored rows."""
    settled = Check(APP, digests, again).parse(response)
    return {
        digest: outcome_of(digest, row) for digest, row in settled.rows.items()
    }, settled.ignored


@pytest.mark.parametrize(
    ("repository", "registry"),
    [(APP, {}), (OF_OTHERS, {"registryId": "123456789012"})],
    ids=["own registry", "another registry"],
)
def test_request(repository: Repository, registry: dict[str, str]) -> None:
    """A request has the name, the digests, and the registry only if the repository has one."""
    digests = [ONE, TWO, "a-b_c+d.9:0f"]
    check = Check(repository, digests)
    members = {"repositoryName": "app", "layerDigests": digests, **registry}
    assert (json.loads(check.request()), check.count) == (members, 3)
    assert Check.name == CHECK == "BatchCheckLayerAvailability"


def test_complete_response() -> None:
    """Each digest is settled by its own row, whatever the order of rows."""
    response = body(HELD, ABSENT, failures=[FAILED])
    for digests in ([ONE, TWO, THREE], [THREE, TWO, ONE]):
        assert settle(response, digests) == (OUTCOMES, 0)


def test_rows_that_settle_nothing() -> None:
    """A failure outweighs a layer, and an earlier row a later one; all other rows are counted."""
    layers = [HELD, HELD, ABSENT, layer_row(TWO), layer_row(THREE), layer_row("sha256:dd")]
    failures = [FAILED, failure_row(THREE), failure_row(ONE.upper())]
    settled = settle(body(*layers, failures=failures), [ONE, TWO, THREE, "sha256:ee"])
    assert settled == (OUTCOMES, 6)


@pytest.mark.parametrize(
    "response",
    [
        *(b"{}", body(), b'{"layers":[]}', body(layer_row("sha256:dd"))),
        body(HELD).replace(b'"layers"', b'"Layers"'),
    ],
)
def test_response_that_settles_nothing(response: bytes) -> None:
    """A response that settles no digest is an error, except for digests left out before."""
    rule = "mentions none of the 2 digests of the request: it has [0-9] rows"
    with pytest.raises(ResponseError, match=rf"^ECR's response {rule}$"):
        settle(response, [ONE, TWO])
    assert settle(response, [ONE, TWO], again=True)[0] == {}


# Other wrong types and missing members are in `tests/property/test_responses.py`.
MALFORMED_LAYERS: list[Any] = [
    *(None, [], {"digest": TWO, "availability": "AVAILABLE"}, failure_row(TWO)),
    *(layer_row(TWO, size) for size in (None, 1, True)),
    *(layer_row(TWO, layerSize=size) for size in ("32", 32.0, float("nan"))),
]
MALFORMED_FAILURES = [failure_row(TWO, None), layer_row(TWO)]


@pytest.mark.parametrize(
    "response",
    [
        *(body(HELD, row) for row in MALFORMED_LAYERS),
        *(body(HELD, failures=[row]) for row in MALFORMED_FAILURES),
        *(b"", b" \n", b"null", b"[]", b'"AVAILABLE"', b"[" * 100_000),
        *(b"\xef\xbb\xbf" + body(HELD), body(HELD).decode().encode("utf-16")),
        *(b"<html><body>503 Service Unavailable</body></html>", body(HELD) + b"x", body(HELD) * 2),
        *(b'{"layers":null,"failures":[]}', b'{"layers":[],"failures":null}', b'{"layers":{}}'),
        *(b'{"layers":""}', body(layer_row(ONE, "\ud800"))),
        *(body(HELD).replace(b"text", b"te\xff"), body(HELD).replace(b"text", b"te\nxt")),
    ],
    ids=lambda response: ascii(response[-60:]),
)
def test_response_that_breaks_the_contract(response: bytes) -> None:
    """A response that is not of ECR's shape in every row is an error, also a second time."""
    for again in (False, True):
        with pytest.raises(ResponseError, match=r"^ECR's response breaks its contract: "):
            settle(response, [ONE, TWO], again=again)


@pytest.mark.parametrize(
    "more",
    [b'"layers":[]', b'"fail\\u0075res":[]', b'"new":1,"new":[{}]'],
    ids=["layers", "escaped", "unknown"],
)
def test_response_with_a_repeated_member(more: bytes) -> None:
    """A response with a member twice breaks the contract."""
    with pytest.raises(ResponseError, match="ECR's response breaks its contract: it has the key"):
        settle(body(HELD)[:-1] + b"," + more + b"}", [ONE])


@pytest.mark.parametrize("member", ["layerDigest", "layerAvailability", "layerSize", "mediaType"])
def test_row_with_a_repeated_member(member: str) -> None:
    """A row with a member twice breaks the contract, whatever else is left out."""
    for row in (HELD, ABSENT, layer_row(ONE, mediaType=None, layerSize=None)):
        if member in row:
            text = json.dumps({member: row[member]})[1:-1]
            response = body(row).replace(b'{"layerDigest"', f'{{{text}, "layerDigest"'.encode())
            with pytest.raises(ResponseError, match=f"it has the key '{member}' twice"):
                settle(response, [row["layerDigest"]])


def test_failure_with_a_repeated_member() -> None:
    """A failure without a reason that has its code three times breaks the contract."""
    response = body(failures=[failure_row(ONE)]).replace(
        b'"failureCode"', b'"failureCode": "", "failureCode": "", "failureCode"'
    )
    with pytest.raises(ResponseError, match="it has the key 'failureCode' twice"):
        settle(response, [ONE])


def test_a_plain_response_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that has only the known members is not searched for repeated ones."""
    monkeypatch.setattr(contract, "refuse_repeated_names", None)
    response = body(HELD, ABSENT, layer_row("sha256:dd", layerSize=1), failures=[FAILED])
    assert settle(response, [ONE, TWO, THREE]) == (OUTCOMES, 1)


def test_response_truncated_at_every_byte() -> None:
    """A response of three rows is an error if it is truncated at any byte."""
    complete = body(HELD, ABSENT, failures=[FAILED])
    for end in range(len(complete)):
        for again in (False, True):
            with pytest.raises(ResponseError):
                settle(complete[:end], [ONE, TWO, THREE], again=again)


@pytest.mark.parametrize(
    "member",
    ["note", "layerState", "outcome", "rawAvailability", "raw_availability", "digest", "size", " "],
)
@pytest.mark.parametrize("value", ["x", None, [1], {"a": 1}], ids=repr)
def test_unknown_members(member: str, value: object) -> None:
    """A member that is not in ECR's model changes nothing, whatever its name and its type."""
    more, failure = {member: value}, failure_row(TWO)
    response = {"layers": [HELD | more], "failures": [failure | more], **more}
    expected = settle(body(HELD, failures=[failure]), [ONE, TWO])
    assert settle(json.dumps(response).encode(), [ONE, TWO]) == expected


@pytest.mark.parametrize(
    "spelling",
    ["FROZEN", "available", "", "UNKNOWN", "NotReported", "\x1b[31m\n", "x" * 10_000],
    ids=lambda text: ascii(text[:20]),
)
def test_unknown_values(spelling: str) -> None:
    """An unknown value reads as UNKNOWN, with ECR's spelling; other rows are unchanged."""
    failures = [failure_row("sha256:dd"), failure_row(THREE, spelling)]
    response = body(HELD, layer_row(TWO, spelling), failures=failures)
    outcomes, _ = settle(response, [ONE, TWO, THREE])
    assert outcomes == {
        ONE: OUTCOMES[ONE],
        TWO: Layer(digest=TWO, availability=LayerAvailability.UNKNOWN, raw_availability=spelling),
        THREE: LayerFailure(digest=THREE, code=LayerFailureCode.UNKNOWN, raw_code=spelling),
    }


@pytest.mark.parametrize(
    "response",
    [
        b"\n\x1b[31mERROR root: forged" * 1_000,
        json.dumps({"layers": "\n\x1b[31m" * 10_000}).encode(),
        json.dumps({"layers": [{"layerDigest": {"\n" * 10_000: "x"}}]}).encode(),
    ],
    ids=["not JSON", "wrong type", "nested wrong type"],
)
def test_message_is_bounded(response: bytes) -> None:
    """Hostile bytes make a message of one bounded, printable line."""
    with pytest.raises(ResponseError) as caught:
        settle(response, [ONE])
    assert (len(str(caught.value)) < 500, str(caught.value).isprintable()) == (True, True)


def test_message_names_the_place() -> None:
    """The message names the malformed member, its value, the rule and the size of the body."""
    response = body(HELD, layer_row(TWO, layerSize="32"))
    with pytest.raises(ResponseError) as caught:
        settle(response, [ONE, TWO])
    assert str(caught.value) == (
        "ECR's response breaks its contract: layers.1.layerSize: "
        f"Input should be a valid integer, in {len(response)} bytes: '32'"
    )
