"""`ConnectionOptions`: where a client asks, and as whom. Imports no aiobotocore."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

if TYPE_CHECKING:
    from ecr_layer_client.protocols import CredentialsProvider, ECRApi, SessionLike


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """What a client was told about where to ask and as whom.

    None is for botocore's own chain to find.
    """

    region_name: str | None = None
    profile_name: str | None = None
    endpoint_url: str | None = None
    session: SessionLike | None = None
    client: ECRApi | None = None
    credentials: CredentialsProvider | None = None

    def check(self, *, allow_insecure_endpoint: bool) -> None:
        """Refuse what can't be meant.

        Raises:
            InvalidInputError: A part is no str, a profile or a provider stands beside a session, or
                the endpoint is no safe URL.
        """
        for name in ("region_name", "profile_name", "endpoint_url"):
            value = getattr(self, name)
            if not (value is None or (isinstance(value, str) and value)):
                shown = "''" if value == "" else f"<{type(value).__name__}>"
                msg = f"{name}={shown}: a str that is not empty, or None"
                raise InvalidInputError(msg)
        if self.session is not None and self.profile_name is not None:
            msg = f"profile_name={quoted(self.profile_name)} beside session=: give the profile to the session"
            raise InvalidInputError(msg)
        if self.session is not None and not hasattr(self.session, "create_client"):
            msg = f"session=<{type(self.session).__name__}>: an aiobotocore session, such as aiobotocore.session.get_session()"
            raise InvalidInputError(msg)
        if self.session is not None and self.credentials is not None:
            msg = "credentials= beside session=: give the credentials to the session"
            raise InvalidInputError(msg)
        if self.credentials is not None and not callable(self.credentials):
            msg = f"credentials is of type {type(self.credentials).__name__}: an async function without arguments that returns AWSKeys"
            raise InvalidInputError(msg)
        if self.endpoint_url is not None:
            _check_endpoint(self.endpoint_url, allow_insecure=allow_insecure_endpoint)


def _check_endpoint(endpoint_url: str, *, allow_insecure: bool) -> None:
    try:
        url = urlsplit(endpoint_url)
        host, _ = url.hostname, url.port
    except ValueError:
        msg = "endpoint_url is no URL: it has the form https://HOST[:PORT]"
        raise InvalidInputError(msg) from None
    if "@" in url.netloc:
        msg = "endpoint_url holds a user name or password: leave it out, for requests are signed with AWS credentials"
        raise InvalidInputError(msg)
    if url.scheme not in {"http", "https"} or not host or url.query or url.fragment:
        # The rest may be a secret.
        read = f"its scheme reads as {quoted(url.scheme)}, and its host as {quoted(host or '')}"
        msg = f"endpoint_url is not of the form https://HOST[:PORT], without a query: {read}"
        raise InvalidInputError(msg)
    if url.scheme == "http" and not (allow_insecure or _is_loopback(host)):
        msg = (
            f"endpoint_url={quoted(endpoint_url)} is plain http beyond this machine: "
            "use https, or ClientConfig(allow_insecure_endpoint=True) where the network is trusted"
        )
        raise InvalidInputError(msg)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
