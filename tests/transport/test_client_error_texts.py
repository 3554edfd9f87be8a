"""The complete texts of the errors that botocore's exceptions become."""

from __future__ import annotations

import pytest
from botocore import exceptions as botocore

from ecr_layer_client._transport.client_errors import (
    call_error,
    credentials_error,
    opening_error,
)

URL = "https://api.ecr.eu-west-1.amazonaws.com/"
WHAT = "BatchCheckLayerAvailability on repository 'team/app'"
NETWORK = "check the network, the proxies, and the spelling of the Region and of endpoint_url"
TLS = "check endpoint_url, AWS_CA_BUNDLE and proxies"
FILES = "check AWS_CA_BUNDLE, certificates and proxies"
HOOKS = "check the credentials and hooks of the session or client"
CONFIG = "check profile_name, AWS_PROFILE and the AWS configuration files"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            botocore.ConnectTimeoutError(endpoint_url=URL),
            f"no response came ('Connect timeout on endpoint URL: \"{URL}\"'): {NETWORK}",
        ),
        (
            botocore.SSLError(endpoint_url=URL, error=OSError("self-signed")),
            f"TLS failed ('SSL validation failed for {URL} self-signed'): {TLS}",
        ),
        (
            botocore.HTTPClientError(error=PermissionError("ca.pem")),
            f"the request failed ('PermissionError: ca.pem'): {FILES}",
        ),
        (
            LookupError("raised by a hook"),
            f"the request could not be made ('LookupError: raised by a hook'): {HOOKS}",
        ),
        (
            botocore.DataNotFoundError(data_path="ecr"),
            f"the request could not be made ('Unable to load data for: ecr'): {CONFIG}",
        ),
    ],
    ids=["network", "TLS", "file", "hook", "botocore"],
)
def test_text(error: Exception, text: str) -> None:
    """The error of a request says what failed, in the words of its cause, and what to check."""
    assert str(call_error(error, WHAT)) == f"{WHAT}: {text}"


@pytest.mark.parametrize("status", [500, 503])
def test_a_proxy_that_fails(status: int) -> None:
    """Another attempt may help where a proxy answers that it failed."""
    refused = type("Refused", (Exception,), {"status": status})()
    error = botocore.ProxyConnectionError(proxy_url="http://proxy:8080", error=refused)
    assert call_error(error, WHAT).retryable


def test_credentials() -> None:
    """An error of the credentials ends with botocore's words, wherever it is raised."""
    error = botocore.CredentialRetrievalError(provider="process", error_msg="exit 1")
    for ours in (opening_error(error), call_error(error, WHAT)):
        words = "'Error when retrieving credentials from process: exit 1'"
        assert str(ours).endswith(f"; botocore says {words}")


def test_a_timeout_of_the_credentials() -> None:
    """An error that credentials did not come in time says so, though it has no words."""
    assert "; botocore says 'no response within " in str(credentials_error(TimeoutError()))
