"""Requests checked as ECR checks them: each shape of its service model becomes one small function, once.

A parser takes a JSON value and where it stands, and returns the value as the registry wants it
(blobs decoded, unknown members dropped), or raises `AwsError`. Wordings are those quoted in public
issues; where none is quoted they are assumed.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from ._aws_model import service_model
from ._registry.errors import AwsError, invalid_parameter

Parser = Callable[[Any, str], Any]


@functools.cache
def request_parser(operation: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return the function that checks a request of `operation` and returns its members.

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
        case other:  # no operation that we serve takes a map, a float or a timestamp
            message = f"the local ECR cannot check a {other}"
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
    except (
        AwsError
    ):  # the place is spelled only when it is needed: a good list of 100 costs no string
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
            raise invalid_parameter(
                where, f"Member must satisfy enum value set: [{', '.join(values)}]"
            )
        return value

    return parse


def _blob(shape: Any) -> Parser:
    check_length = _bounds(shape, "must have length")

    def parse(value: Any, where: str) -> bytes:
        try:
            data = base64.b64decode(value, validate=True)
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
    return invalid_parameter(
        where, f"must be {wanted}"
    )  # assumed: no transcript of ECR's own wording is known
