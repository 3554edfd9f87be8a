"""Validation of requests, as ECR does it: each shape of the service model becomes one function.

A parser takes a JSON value and its place in the request. It returns the value as the registry
needs it (blobs decoded, unknown members dropped), or raises `AwsError`. Places and wordings are
those quoted in public issues: AWS's framework says "Member must", and ECR's own checks say "must".
Where none is quoted, the wording is assumed.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ._aws_model import service_model
from ._registry.blob_store import Base64Bytes, Draft
from ._registry.errors import AwsError, invalid_parameter

Parser = Callable[[Any, str], Any]
# A condition, and the words for a value that does not meet it.
Rule = tuple[Callable[[str], bool], str]

# ECR checks values of these shapes itself. Its words for their patterns:
OWN_PATTERNS = {
    "RegistryId": "must satisfy regular expression {}",
    "RepositoryName": "must satisfy regular expression '{}'",
}
# ECR lists these values in another order than the model.
VALUES = {
    "ImageTagMutability": (
        "IMMUTABLE",
        "MUTABLE",
        "MUTABLE_WITH_EXCLUSION",
        "IMMUTABLE_WITH_EXCLUSION",
    )
}


@functools.cache
def request_parser(
    operation: str, service: str = "ecr"
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return the function that validates a request of `operation` and returns its members.

    >>> request_parser("InitiateLayerUpload")({"repositoryName": "app", "unheard": 1})
    {'repositoryName': 'app'}
    """
    parse = _structure(service_model(service).operation_model(operation).input_shape)
    return lambda members: parse(members, "")


def known_members(value: Any, shape: Any) -> Any:
    """Return a value without the members that its shape does not have."""
    match shape.type_name:
        case "structure":
            known = [name for name in value if name in shape.members]
            return {name: known_members(value[name], shape.members[name]) for name in known}
        case "list":
            return [known_members(item, shape.member) for item in value]
        case _:
            return value


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
        (name, name[0].lower() + name[1:], _parser(member), name in shape.required_members)
        for name, member in shape.members.items()
    ]
    own = {name for name, member in shape.members.items() if member.name in OWN_PATTERNS}

    def parse(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong_type(where, "an object")

        given = cast("dict[str, Any]", value)
        parsed: dict[str, Any] = {}
        for name, its_place, parser, required in members:
            member = given.get(name)
            place = f"{where}.{its_place}" if where else its_place
            if member is not None:
                parsed[name] = parser(member, place)
            elif required:
                rule = "must not be null" if name in own else "Member must not be null"
                raise invalid_parameter(place, rule)
        return parsed

    return parse


def _list(shape: Any) -> Parser:
    parse_items = _items_parser(shape.member)
    check_length = _bounds(shape, "Member must have length")

    def parse(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise _wrong_type(where, "a list")

        items: list[Any] = [*value]
        check_length(len(items), where)
        if None in items:
            raise invalid_parameter(where, "Member must not be null")
        return parse_items(items, where)

    return parse


def _items_parser(shape: Any) -> Callable[[list[Any], str], list[Any]]:
    parse = _parser(shape)
    if shape.type_name == "structure":
        return lambda items, where: [
            parse(item, f"{where}.{position}.member") for position, item in enumerate(items, 1)
        ]
    if shape.name == "RepositoryName":
        return lambda items, _: [parse(item, "repositoryName") for item in items]

    # The place of an invalid item is that of the list, and the message has all rules.
    rules = _rules(shape, "Member must", "Member must satisfy regular expression pattern: {}")
    rule = f"Member must satisfy constraint: [{', '.join(words for _, words in rules)}]"

    def parse_texts(items: list[Any], where: str) -> list[str]:
        if not all(isinstance(item, str) for item in items):
            raise _wrong_type(where, "a list of strings")
        if not all(all(map(is_met, items)) for is_met, _ in rules):
            raise invalid_parameter(where, rule)
        return items

    return parse_texts


def _string(shape: Any) -> Parser:
    must, pattern = "Member must", "Member must satisfy regular expression pattern: {}"
    if shape.name in OWN_PATTERNS:
        must, pattern = "must", OWN_PATTERNS[shape.name]
    rules = _rules(shape, must, pattern)

    def parse(value: Any, where: str) -> str:
        if not isinstance(value, str):
            raise _wrong_type(where, "a string")
        for is_met, words in rules:
            if not is_met(value):
                raise invalid_parameter(where, words)
        return value

    return parse


def _rules(shape: Any, must: str, pattern_words: str) -> list[Rule]:
    """Return the rules for a string. `must` begins the words for its length."""
    rules: list[Rule] = []
    limits = shape.metadata
    if "max" in limits:
        longest: int = limits["max"]
        words = f"{must} have length less than or equal to {longest}"
        rules.append((lambda value: len(value) <= longest, words))
    if "min" in limits:
        shortest: int = limits["min"]
        words = f"{must} have length greater than or equal to {shortest}"
        rules.append((lambda value: len(value) >= shortest, words))
    if pattern := limits.get("pattern"):
        full_match = re.compile(pattern).fullmatch
        rules.append((lambda value: full_match(value) is not None, pattern_words.format(pattern)))
    if "enum" in limits:
        values: Sequence[str] = VALUES.get(shape.name) or limits["enum"]
        words = f"Member must satisfy enum value set: [{', '.join(values)}]"
        rules.append((lambda value: value in values, words))
    return rules


def _blob(shape: Any) -> Parser:
    check_length = _bounds(shape, "Member must have length")

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
    check_value = _bounds(shape, "Member must have value")

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
