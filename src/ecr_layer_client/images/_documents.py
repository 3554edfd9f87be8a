"""JSON documents about images, read strictly."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from ecr_layer_client._text.quoting import escaped, quoted
from ecr_layer_client._text.repeated_members import repeated_member
from ecr_layer_client._text.validation_errors import first_problem

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class InvalidDocumentError(Exception):
    """The reason why a document is not valid. It never leaves this package."""


def read_document(adapter: TypeAdapter[T], data: bytes) -> T:
    """Parse a document.

    Raises:
        InvalidDocumentError: The data is not JSON in UTF-8, has another shape, or has a member
            twice, so that two programs may read it as two different documents.
    """
    if data.startswith(_BYTE_ORDER_MARKS):
        msg = "it begins with a byte order mark: JSON must be UTF-8 without one"
        raise InvalidDocumentError(msg)

    try:
        document = adapter.validate_json(data, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        problem = first_problem(error)
        reason = problem.message
        if problem.where:
            # The path may contain names of annotations, which are untrusted text.
            reason = f"{escaped(problem.where)}: {reason}: {quoted(problem.value)}"
        raise InvalidDocumentError(reason) from None

    try:
        repeated = repeated_member(data)
    except ValueError as error:
        raise InvalidDocumentError(str(error)) from None
    if repeated is not None:
        msg = f"one of its objects has the key {quoted(repeated)} twice"
        raise InvalidDocumentError(msg)
    return document
