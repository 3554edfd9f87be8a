"""A second reader of responses to BatchCheckLayerAvailability, independent of the library's.

It shares no code with the library. It is written from ECR's service model: strict JSON by `json`,
then one row after the other.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, cast

Outcome = tuple[str | int | None, ...]
"""The members of a row in the order of the model, an unknown enum value as (None, its spelling)."""

STATES = ("AVAILABLE", "UNAVAILABLE", "ARCHIVED")  # ECR model: LayerAvailability
CODES = ("InvalidLayerDigest", "MissingLayerDigest")  # ECR model: LayerFailureCode
MAX_LONG = 2**63 - 1  # the largest value of a `long` of a service model


class RefusedError(ValueError):
    """A response is not a strict response to the request."""


def read(body: bytes, digests: list[str], *, again: bool) -> tuple[dict[str, Outcome], int]:
    """Return the outcome of each digest that a response settles, and the number of other rows.

    A digest is settled by its first failure, else by its first layer. A response that settles none
    is refused, unless an earlier response left the same digests out (`again`).

    Raises:
        ValueError: The response is refused.
    """
    document = _object(_json(body))
    layers = [_layer(_object(row)) for row in _list(document, "layers")]
    failures = [_failure(_object(row)) for row in _list(document, "failures")]

    outcomes: dict[str, Outcome] = {}
    for digest, outcome in failures + layers:
        if digest in digests and digest not in outcomes:
            outcomes[digest] = outcome
    if not (outcomes or again):
        raise RefusedError
    return outcomes, len(layers) + len(failures) - len(outcomes)


def _json(body: bytes) -> Any:
    text = body.decode("utf-8")
    try:
        document = _DECODER.decode(text)
    except RecursionError:
        raise RefusedError from None
    if "\\u" in text:
        json.dumps(document, ensure_ascii=False).encode("utf-8")  # refuses half of a surrogate pair
    return document


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise RefusedError
    return members


def _not_json(constant: str) -> NoReturn:
    raise RefusedError(constant)


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_not_json)


def _object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise RefusedError
    return cast("dict[str, Any]", value)


def _list(document: dict[str, Any], name: str) -> list[Any]:
    rows: list[Any] | None = document.get(name, [])
    if type(rows) is not list:
        raise RefusedError
    return rows


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if type(value) is not str:
        raise RefusedError
    return value


def _optional_text(row: dict[str, Any], name: str) -> str | None:
    return None if row.get(name) is None else _text(row, name)


def _optional_size(row: dict[str, Any]) -> int | None:
    size = row.get("layerSize")
    if size is not None and (type(size) is not int or not 0 <= size <= MAX_LONG):
        raise RefusedError
    return size


def _layer(row: dict[str, Any]) -> tuple[str, Outcome]:
    digest, state = _text(row, "layerDigest"), _text(row, "layerAvailability")
    known = (state, None) if state in STATES else (None, state)
    return digest, ("layer", *known, _optional_size(row), _optional_text(row, "mediaType"))


def _failure(row: dict[str, Any]) -> tuple[str, Outcome]:
    digest, code = _text(row, "layerDigest"), _text(row, "failureCode")
    known = (code, None) if code in CODES else (None, code)
    return digest, ("failure", *known, _optional_text(row, "failureReason"))
