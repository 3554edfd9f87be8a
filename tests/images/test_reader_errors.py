"""The facts that the errors of a client about images have, and their complete messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from ecr_layer_client import CallError, InvalidInputError, ResponseError, RetryPolicy, ServiceError
from images.making import IMAGE, INDEX, entry
from images.pushed import (
    APP,
    DIGEST,
    REPOSITORY,
    audit,
    child,
    contents,
    get,
    push,
    put_index,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ecr_layer_client.local import LocalECR

E = TypeVar("E", bound=CallError)

pytestmark = pytest.mark.asyncio


async def error_of(work: Awaitable[object], kind: type[E]) -> E:
    """Return the error that some work raises; none of these is retried."""
    with pytest.raises(kind) as raised:
        await work
    error = raised.value
    assert (error.retryable, str(error.repository)) == (False, REPOSITORY)
    return error


async def test_not_found(ecr: LocalECR) -> None:
    """The error of an absent image has ECR's code, words and status."""
    ecr.create_repository(REPOSITORY)
    error = await error_of(get(ecr, "v9"), ServiceError)
    assert (error.operation, error.code) == ("BatchGetImage", "ImageNotFound")
    assert (error.message, error.status) == ("Requested image not found", 200)
    assert str(error) == (
        "BatchGetImage: team/app:v9: ECR has no such image (ImageNotFound: "
        "'Requested image not found'): check the tag or digest, and the repository"
    )


async def test_unreadable(ecr: LocalECR) -> None:
    """The error of a manifest that can't be read names the operation and the image."""
    push(ecr, APP, tag="v1")
    contents(ecr).images[DIGEST].media_type = INDEX
    error = await error_of(get(ecr), ResponseError)
    assert error.operation == "BatchGetImage"
    assert str(error).startswith("BatchGetImage: team/app:v1: ")


async def test_another_size(ecr: LocalECR) -> None:
    """The error of an index that contradicts its image names the operation."""
    push(ecr, APP)
    put_index(ecr, child(size=1))
    error = await error_of(get(ecr), ResponseError)
    assert error.operation == "BatchGetImage"


async def test_repeated_page(ecr: LocalECR) -> None:
    """The error of a page that comes twice names the operation."""
    ecr.create_repository(REPOSITORY)
    ecr.faults.add(operation="ListImages", body=b'{"imageIds": [], "nextToken": "a"}')
    error = await error_of(audit(ecr), ResponseError)
    assert error.operation == "ListImages"


async def test_no_platform(ecr: LocalECR) -> None:
    """An index whose images have no platform has none at all to offer."""
    push(ecr, APP)
    put_index(ecr, entry(APP.manifest, IMAGE))
    with pytest.raises(InvalidInputError) as raised:
        await get(ecr, platform="linux/amd64")
    assert str(raised.value) == "team/app:v1 has no image for linux/amd64: it has none at all"


async def test_not_a_reference(ecr: LocalECR) -> None:
    """The error of a reference that is neither a tag nor a digest gives an example of both."""
    with pytest.raises(InvalidInputError) as raised:
        await verify(ecr, "a b")
    assert str(raised.value) == (
        "reference='a b' is not a valid reference to an image: write a tag, such as 'latest', "
        "or a digest, 'sha256:' and 64 hexadecimal digits"
    )


async def test_listed_without_a_digest(ecr: LocalECR) -> None:
    """The error of a listed image without a digest says so, after the request and its target."""
    ecr.create_repository(REPOSITORY)
    ecr.faults.add(operation="ListImages", body=b'{"imageIds": [{"imageTag": "v1"}]}')
    with pytest.raises(ResponseError) as raised:
        async with ecr.client(retry=RetryPolicy(max_attempts=1)) as client:
            await anext(client.audit(REPOSITORY))
    assert str(raised.value).endswith(": ECR's response lists an image without a digest")
