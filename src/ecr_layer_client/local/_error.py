"""The one exception of the local registry: an answer that says no, in AWS's words."""

from __future__ import annotations

from typing import Final


class AwsError(Exception):
    """An error answer of the service: its code, its message, its HTTP status and its further members.

    The status is 400 unless said otherwise, for ECR tells errors apart by code and not by status.

    >>> error = AwsError("InvalidLayerPartException", "not consecutive", lastValidByteReceived=41)
    >>> error.code, error.status, error.members
    ('InvalidLayerPartException', 400, {'lastValidByteReceived': 41})
    """

    def __init__(self, code: str, message: str, status: int = 400, **members: object) -> None:
        """Keep the facts; `members` whose value is None are left out of the answer."""
        super().__init__(f"{code}: {message}")
        self.code: Final = code
        self.message: Final = message
        self.status: Final = status
        self.members: Final = {name: value for name, value in members.items() if value is not None}


def invalid_parameter(where: str, constraint: str) -> AwsError:
    """Return ECR's refusal of one request member, in the wording that its users quote in public issues."""
    return AwsError("InvalidParameterException", f"Invalid parameter at '{where}' failed to satisfy constraint: '{constraint}'")
