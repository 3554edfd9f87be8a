"""Validation of requests, as ECR does it: each shape of the service model becomes one function.

A parser takes a JSON value and its place in the request. It returns the value as the registry
needs it (blobs decoded, unknown members dropped), or raises `AwsError`. The wordings are those
quoted in public issues. Where none is quoted, the wording is assumed.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from ._aws_model import service_model
from ._registry.blob_store import Base64Bytes, Draft
from ._registry.errors import AwsError, invalid_parameter

Parser = Callable[[Any, str], Any]


@functools.cache
def request_parser(operation: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return the function that validates a request of `operation` and returns its members.

    >>> request_parser("InitiateLayerUpload")({"repositoryName": "app", "unheard": 1})
    {'repositoryName': 'app'}
    """
    parse = _structure(service_model().operation_model(operation).input_shape)
    return lambda members: parse(members, "")


def _parser(shape: Any) -> Parser:
    match shape.type_name:
        case "structure":
            return _structure(shape)
        case "list":
            return _list(shape)
        case "string":
            return _string(shape)
        case "blob":
            return _blob(shape)
        case "integer" | "long":
            return _integer(shape)
        case "boolean":
            return _boolean
        case other:
            # No operation of the local ECR takes a map, a float or a timestamp.
            message = f"the local ECR cannot validate a value of the type {other}"
            raise NotImplementedError(message)


def _structure(shape: Any) -> Parser:
    members = [
        (name, _parser(member), name in shape.required_members)
        for name, member in shape.members.items()
    ]

    def parse(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong_type(where, "an object")

        given = cast("dict[str, Any]", value)
        parsed: dict[str, Any] = {}
        for name, parser, required in members:
            member = given.get(name)
            place = f"{where}.{name}" if where else name
            if member is not None:
                parsed[name] = parser(member, place)
            elif required:
                raise invalid_parameter(place, "must not be null")
        return parsed

    return parse


def _list(shape: Any) -> Parser:
    parse_item = _parser(shape.member)
    check_length = _bounds(shape, "Member must have length")

    def parse(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise _wrong_type(where, "a list")

        items: list[Any] = [*value]
        check_length(len(items), where)
        return [
            _item(parse_item, item, where, position) for position, item in enumerate(items, start=1)
        ]

    return parse


def _item(parse: Parser, item: Any, where: str, position: int) -> Any:
    if item is None:
        raise invalid_parameter(_place(where, position), "must not be null")
    try:
        return parse(item, where)
    except AwsError:
        # Only an invalid item needs its place, so that a valid list of 100 items costs no string.
        return parse(item, _place(where, position))


def _place(where: str, position: int) -> str:
    return f"{where}.{position}.member"


def _string(shape: Any) -> Parser:
    check_length = _bounds(shape, "must have length")
    pattern = shape.metadata.get("pattern")
    full_match = re.compile(pattern).fullmatch if pattern else None
    values = shape.metadata.get("enum")

    def parse(value: Any, where: str) -> str:
        if not isinstance(value, str):
            raise _wrong_type(where, "a string")

        check_length(len(value), where)
        if full_match is not None and not full_match(value):
            raise invalid_parameter(where, f"must satisfy regular expression '{pattern}'")
        if values is not None and value not in values:
            rule = f"Member must satisfy enum value set: [{', '.join(values)}]"
            raise invalid_parameter(where, rule)
        return value

    return parse


def _blob(shape: Any) -> Parser:
    check_length = _bounds(shape, "must have length")

    def parse(value: Any, where: str) -> bytes | Base64Bytes | Draft:
        # A part of `/v2/` may have any size, because it is not in JSON.
        if isinstance(value, Draft):
            return value
        try:
            # A large blob is decoded when it is stored.
            data = (
                value if isinstance(value, Base64Bytes) else base64.b64decode(value, validate=True)
            )
        except (TypeError, ValueError, binascii.Error):
            raise _wrong_type(where, "a string of base64") from None

        check_length(len(data), where)
        return data

    return parse


def _integer(shape: Any) -> Parser:
    check_value = _bounds(shape, "must have value")

    def parse(value: Any, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(where, "an integer")

        check_value(value, where)
        return value

    return parse


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(where, "a boolean")
    return value


def _bounds(shape: Any, what: str) -> Callable[[int, str], None]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")

    def check(number: int, where: str) -> None:
        if low is not None and number < low:
            raise invalid_parameter(where, f"{what} greater than or equal to {low}")
        if high is not None and number > high:
            raise invalid_parameter(where, f"{what} less than or equal to {high}")

    return check


def _wrong_type(where: str, wanted: str) -> AwsError:
    # Assumed: ECR's own wording for a value of the wrong type is not known.
    return invalid_parameter(where, f"must be {wanted}")
