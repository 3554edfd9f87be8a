"""The one exception of the local registry: an error response with AWS's message text."""

from __future__ import annotations

from typing import Final


class AwsError(Exception):
    """An error response of the service: its code, message, HTTP status and further members.

    The default status is 400, because ECR distinguishes errors by code and not by status.

    >>> error = AwsError("InvalidLayerPartException", "not consecutive", lastValidByteReceived=41)
    >>> error.code, error.status, error.members
    ('InvalidLayerPartException', 400, {'lastValidByteReceived': 41})
    """

    def __init__(self, code: str, message: str, status: int = 400, **members: object) -> None:
        """Keep the facts. The response leaves out `members` whose value is None."""
        super().__init__(f"{code}: {message}")
        self.code: Final = code
        self.message: Final = message
        self.status: Final = status
        self.members: Final = {name: value for name, value in members.items() if value is not None}


def invalid_parameter(where: str, constraint: str) -> AwsError:
    """Return ECR's error for an invalid member, in the wording quoted in public issues."""
    return AwsError(
        "InvalidParameterException",
        f"Invalid parameter at '{where}' failed to satisfy constraint: '{constraint}'",
    )


# Other codes have status 400, as in ECR. Status 5xx means a failure of the service. Proxies and
# other services respond with 429 and 503.
STATUSES = {
    "InternalFailure": 500,
    "InternalServerException": 500,
    "ServerException": 500,  # ECR model: a fault
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
    "SlowDown": 503,
    "TooManyRequestsException": 429,
}
MESSAGES = {
    "AccessDeniedException": "User is not authorized to perform this operation on this resource",
    "ExpiredTokenException": "The security token included in the request is expired",
    "InternalFailure": (
        "The request processing has failed because of an unknown error, exception or failure."
    ),
    "InvalidSignatureException": (
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method. "
        "Consult the service documentation for details."
    ),
    "MissingAuthenticationTokenException": "Missing Authentication Token",
    "ThrottlingException": "Rate exceeded",
    "TooManyRequestsException": "Too Many Requests",
    "UnrecognizedClientException": "The security token included in the request is invalid.",
}

# Codes that AWS's services share (AWS documentation: common errors), and those of S3's downloads.
# ECR's own codes are in its service model.
COMMON_CODES = {
    *STATUSES,
    *MESSAGES,
    "AccessDenied",
    "ExpiredToken",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InternalError",
    "InternalServerError",
    "InvalidAction",
    "InvalidClientTokenId",
    "InvalidRange",
    "InvalidSignature",
    "MalformedHttpRequestException",
    "MissingAuthenticationToken",
    "NoSuchKey",
    "NotAuthorized",
    "OptInRequired",
    "RequestAbortedException",
    "RequestEntityTooLargeException",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "RequestTimeoutException",
    "SerializationException",
    "SignatureDoesNotMatch",
    "ThrottledException",
    "Throttling",
    "UnauthorizedOperation",
    "UnknownOperationException",
}


def error_of(code: str, message: str | None = None, status: int | None = None) -> AwsError:
    """Return AWS's error with this code. The default message and status are AWS's own.

    >>> error_of("ThrottlingException")
    AwsError('ThrottlingException: Rate exceeded')
    """
    if message is None:
        message = MESSAGES.get(code, "A fault of the local ECR causes this error")
    return AwsError(code, message, STATUSES.get(code, 400) if status is None else status)
