"""Images in the repository `team/app` of a local ECR, and what the client says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecr_layer_client.images import ImageReport, ImageSource, Platform
from images.making import IMAGE, INDEX, Image, entry, image, index, packed, sha256

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ecr_layer_client.local import LocalECR
    from ecr_layer_client.local._registry.state import StoredRepository

REPOSITORY = "team/app"
APP = image("app", "base", "code")
ARM = image("arm", "base", "arm code", foreign=["windows"])
BOTH = index({"linux/amd64": APP.manifest, "linux/arm64": ARM.manifest})
DIGEST, ARM_DIGEST, BOTH_DIGEST = map(sha256, (APP.manifest, ARM.manifest, BOTH))
UPPER_DIGEST = f"sha256:{DIGEST[7:].upper()}"


def push(ecr: LocalECR, *images: Image, tag: str | None = None) -> None:
    """Put images into the repository, the last one with a tag."""
    for one in images:
        for blob in one.blobs:
            ecr.put_layer(REPOSITORY, blob)
        ecr.put_image(REPOSITORY, one.manifest, tag if one is images[-1] else None)


def push_both(ecr: LocalECR) -> None:
    """Put an index of two platforms into the repository, with the tag `v1`."""
    push(ecr, APP, ARM)
    ecr.put_image(REPOSITORY, BOTH, "v1")


def put_index(ecr: LocalECR, *children: dict[str, Any], tag: str = "v1") -> None:
    """Put an index into the repository, with a tag."""
    ecr.put_image(REPOSITORY, packed(mediaType=INDEX, manifests=children), tag)


def child(manifest: bytes = APP.manifest, size: int | None = None, **platform: Any) -> Any:
    """Return the descriptor of an image in an index, by default for linux/amd64."""
    where = {"os": "linux", "architecture": "amd64", **platform}
    found = entry(manifest, IMAGE, platform=where)
    return found if size is None else {**found, "size": size}


def contents(ecr: LocalECR) -> StoredRepository:
    """Return the contents of the repository, so that a test can damage them."""
    return ecr._registry._repositories[ecr.account, REPOSITORY]


def source_of(one: Image) -> ImageSource:
    """Return the source of an image."""
    return ImageSource.from_manifest(one.manifest)


async def get(
    ecr: LocalECR, reference: str = "v1", platform: str | Platform | None = None, **options: Any
) -> ImageSource:
    """Fetch an image."""
    async with ecr.client(**options) as client:
        return await client.get_image(REPOSITORY, reference, platform=platform)


async def verify(ecr: LocalECR, reference: str = "v1") -> ImageReport:
    """Verify an image."""
    async with ecr.client() as client:
        return await client.verify_image(REPOSITORY, reference)


async def audit(ecr: LocalECR, *, archived: bool = False) -> list[ImageReport]:
    """Audit the repository."""
    async with ecr.client() as client:
        return [report async for report in client.audit(REPOSITORY, archived=archived)]


def raws(source: ImageSource) -> list[bytes]:
    """Return the bytes of the manifests of an image."""
    return [manifest.raw for manifest in source.manifests]


def defects_of(reports: Iterable[ImageReport]) -> dict[str, tuple[str, ...]]:
    """Return the defects of the images that are not deployable, by digest."""
    return {
        report.digest or report.reference: report.defects
        for report in reports
        if not report.deployable
    }


def calls(ecr: LocalECR) -> dict[str, int]:
    """Return the number of requests of each operation."""
    stats = ecr.stats.by_operation
    return {operation: sum(outcomes.values()) for operation, outcomes in stats.items()}
