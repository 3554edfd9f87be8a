"""Lists: repositories, tags, and the referrers of an image."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ecr_layer_client.local._protocol import json_bytes
from ecr_layer_client.local._registry.errors import invalid_parameter
from ecr_layer_client.local._registry.manifest import OCI_INDEX
from ecr_layer_client.local._registry.paging import page_of
from ecr_layer_client.local._validation import request_parser

from .exchange import checked_digest, reply

if TYPE_CHECKING:
    from ecr_layer_client.local._protocol import Reply
    from ecr_layer_client.local._registry.state import Row

    from .exchange import Exchange


async def ping(_exchange: Exchange) -> Reply:
    """Return the response to a request for `/v2/`, which clients send to log in."""
    return reply(HTTPStatus.OK, body=b"{}")


async def catalog(exchange: Exchange) -> Reply:
    """Return a page of the names of repositories."""
    page = _page(exchange)
    request = {"registryId": exchange.account, **page}
    operation = "DescribeRepositories"
    found = exchange.operations.run(exchange.registry, operation, request, exchange.scripts)
    names = [row["repositoryName"] for row in found["repositories"]]
    return _listed(exchange, {"repositories": names}, names, is_last="nextToken" not in found)


async def tags(exchange: Exchange) -> Reply:
    """Return a page of the tags of a repository, sorted."""
    page = _page(exchange)
    # Validates the name, too.
    request_parser("ListImages")({"repositoryName": exchange.route.name, **page})
    with exchange.registry.viewing(exchange.route.name, exchange.account) as repository:
        names, more = page_of({tag: tag for tag in repository.tags}, page)

    body = {"name": exchange.route.name, "tags": names}
    return _listed(exchange, body, names, is_last=not more)


async def referrers(exchange: Exchange) -> Reply:
    """Return an index of the images whose subject is a manifest, as the OCI specifies it.

    Assumed: all of them are on one page, and archived images are left out.
    """
    subject = checked_digest(exchange.route.reference)
    with exchange.registry.viewing(exchange.route.name, exchange.account) as repository:
        rows = exchange.registry.referrers.descriptors(repository, subject)

    headers: dict[str, str] = {}
    if artifact_type := exchange.parameters.get("artifactType"):
        rows = [row for row in rows if row.get("artifactType") == artifact_type]
        headers["oci-filters-applied"] = "artifactType"
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}
    return reply(HTTPStatus.OK, headers, json_bytes(index), OCI_INDEX)


def _page(exchange: Exchange) -> Row:
    """Return the members of ECR's API for the page that a request asks for."""
    parameters, page = exchange.parameters, dict[str, Any]()
    if "n" in parameters:
        page["maxResults"] = _number(parameters["n"])
    if last := parameters.get("last"):
        # The token of a page is its last name.
        page["nextToken"] = base64.urlsafe_b64encode(last.encode(errors="replace")).decode()
    return page


def _number(text: str) -> int:
    # So short that every number can be parsed.
    if not text.isascii() or not text.isdigit() or len(text) > len(str(2**31)):
        where = "maxResults"
        raise invalid_parameter(where, "must be an integer")
    return int(text)


def _listed(exchange: Exchange, body: Row, names: list[str], *, is_last: bool) -> Reply:
    headers: dict[str, str] = {}
    if not is_last:
        path = exchange.request.path.partition("?")[0]
        asked = exchange.parameters.get("n")
        parameters = {"last": names[-1], **({"n": asked} if asked else {})}
        headers["link"] = f'<{exchange.url(path, **parameters)}>; rel="next"'
    return reply(HTTPStatus.OK, headers, json_bytes(body))
