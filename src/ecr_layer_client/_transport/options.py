"""`ConnectionOptions`: where to send requests, and who signs them. Imports no aiobotocore."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.services import ECR, Service
from ecr_layer_client._text.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ecr_layer_client.protocols import CredentialsProvider, ECRApi, Limiter, SessionLike


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """The arguments of a client that say where to send requests, who signs them, and when.

    botocore's own configuration chain finds what is None.
    """

    region_name: str | None = None
    profile_name: str | None = None
    endpoint_url: str | None = None
    session: SessionLike | None = None
    client: ECRApi | None = None
    credentials: CredentialsProvider | None = None
    limiter: Limiter | None = None
    limiter_scope: str | None = None
    service: Service = ECR

    def check(self, *, allow_insecure_endpoint: bool) -> None:
        """Check the options.

        Raises:
            InvalidInputError: An option has the wrong type, a profile or a provider is given
                together with a session, the endpoint is not a safe URL, or the service has no
                endpoint in the Region.
        """
        for name in ("region_name", "profile_name", "endpoint_url", "limiter_scope"):
            _check_text(name, getattr(self, name))

        if self.session is not None:
            self._check_session(self.session)
        if self.credentials is not None and not callable(self.credentials):
            msg = (
                f"credentials=<{type(self.credentials).__name__}> must be "
                "an async function without arguments that returns AWSKeys"
            )
            raise InvalidInputError(msg)
        if self.limiter is not None and not callable(getattr(self.limiter, "acquire", None)):
            msg = (
                f"limiter=<{type(self.limiter).__name__}> must be an object with the async method "
                "acquire"
            )
            raise InvalidInputError(msg)
        if self.endpoint_url is not None:
            _check_endpoint(self.endpoint_url, allow_insecure=allow_insecure_endpoint)
        elif self.client is None:
            self._check_region()

    def _check_region(self) -> None:
        regions = self.service.regions
        if regions and self.region_name not in regions:
            msg = (
                f"{self.service.title} has no endpoint in Region {quoted(self.region_name)}: "
                f"use {' or '.join(map(quoted, regions))}, or pass endpoint_url"
            )
            raise InvalidInputError(msg)

    def _check_session(self, session: SessionLike) -> None:
        if self.profile_name is not None:
            msg = (
                f"profile_name={quoted(self.profile_name)} can't be used with session=: "
                "set the profile of the session instead"
            )
            raise InvalidInputError(msg)

        if not hasattr(session, "create_client"):
            msg = (
                f"session=<{type(session).__name__}> must be an aiobotocore session, "
                "such as aiobotocore.session.get_session()"
            )
            raise InvalidInputError(msg)

        if self.credentials is not None:
            msg = "credentials= can't be used with session=: set those of the session instead"
            raise InvalidInputError(msg)


def _check_text(name: str, value: object) -> None:
    if value is None or (isinstance(value, str) and value):
        return
    shown = "''" if value == "" else f"<{type(value).__name__}>"
    msg = f"{name}={shown} must be a str that is not empty, or None"
    raise InvalidInputError(msg)


def _check_endpoint(endpoint_url: str, *, allow_insecure: bool) -> None:
    has_scheme = "://" in endpoint_url
    try:
        url = urlsplit(endpoint_url if has_scheme else f"//{endpoint_url}")
        host, _ = url.hostname, url.port
    except ValueError:
        msg = "endpoint_url is not a valid URL: use the form https://HOST[:PORT]"
        raise InvalidInputError(msg) from None

    if "@" in url.netloc:
        msg = (
            "endpoint_url contains a user name or password: "
            "remove them, because requests are signed with AWS credentials"
        )
        raise InvalidInputError(msg)

    if host and not (has_scheme or url.path or url.query or url.fragment):
        scheme = "http" if is_loopback(host) else "https"
        msg = (
            f"endpoint_url={quoted(endpoint_url)} has no scheme: "
            f"use {quoted(f'{scheme}://{endpoint_url}')}"
        )
        raise InvalidInputError(msg)

    if url.scheme not in {"http", "https"} or not host or url.query or url.fragment:
        # The message shows only two parts of the URL, because the others may be secret.
        msg = (
            "endpoint_url must have the form https://HOST[:PORT], without a query: "
            f"its scheme is read as {quoted(url.scheme)}, and its host as {quoted(host or '')}"
        )
        raise InvalidInputError(msg)

    if url.scheme == "http" and not (allow_insecure or is_loopback(host)):
        msg = (
            f"endpoint_url={quoted(endpoint_url)} is plain http to another machine: "
            "use https, or ClientConfig(allow_insecure_endpoint=True) if you trust the network"
        )
        raise InvalidInputError(msg)


def identity_of(provider: CredentialsProvider | None) -> Hashable:
    """Return a value that is equal for equal providers, such as a method that is read twice.

    Hold the provider as long as the value, because another object could get the same id.
    """
    try:
        hash(provider)
    except TypeError:
        return id(provider)
    return cast("Hashable", provider)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
