"""The identity of the image that a report is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from images.pushed import APP, DIGEST, REPOSITORY, push, verify

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


async def test_reference_tags_and_digest(ecr: LocalECR) -> None:
    """A report has the tag and the digest of the image, and no tag if its digest was given."""
    push(ecr, APP, tag="v1")
    for reference, tags in (("v1", ("v1",)), (DIGEST, ())):
        report = await verify(ecr, reference)
        assert (report.reference, report.tags, report.digest) == (reference, tags, DIGEST)


async def test_digest_of_an_absent_image(ecr: LocalECR) -> None:
    """The report of an absent image has the digest that was given, and none for a tag."""
    ecr.create_repository(REPOSITORY)
    assert (await verify(ecr, DIGEST)).digest == DIGEST
    assert (await verify(ecr, "v1")).digest is None
