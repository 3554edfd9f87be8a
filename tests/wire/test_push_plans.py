"""Pushes by boto3 that follow a push plan: the local ECR counts the calls that the plan counts."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client.images import ImageSource, plan
from images.making import (
    INDEX,
    Image,
    docker_files,
    entry,
    image,
    index,
    layout_files,
    sha256,
    tar,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ecr_layer_client.images import Descriptor, ImageIndex, ImageManifest, PushPlan
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

LARGE = bytes(10 * 1024 * 1024 + 1)  # two parts
APP = Image(b"{}", (LARGE, b"layer code", b"layer code"))
AMD = image("amd", "code", "amd")
ARM = image("arm", "code", "arm", foreign=["windows"])
REF = "org.opencontainers.image.ref.name"


def one_image(directory: Path) -> ImageSource:
    """Write an OCI layout of an image with two tags and a layer of two parts."""
    roots = [
        entry(APP.manifest, "application/vnd.oci.image.manifest.v1+json", annotations={REF: tag})
        for tag in ("v1", "latest")
    ]
    return ImageSource.from_oci_layout(
        write(directory, layout_files(roots, [APP.manifest, *APP.blobs]))
    )


def two_platforms(directory: Path) -> ImageSource:
    """Write an archived OCI layout of an index of two images, one with a foreign layer."""
    both = index({"linux/amd64": AMD.manifest, "linux/arm64": ARM.manifest})
    files = layout_files(
        [entry(both, INDEX, annotations={REF: "v1"})],
        [both, AMD.manifest, ARM.manifest, *AMD.blobs, *ARM.blobs],
    )
    return ImageSource.from_oci_layout(tar(directory / "layout.tar", files))


def saved(directory: Path) -> ImageSource:
    """Save an image as `docker save` did before version 25."""
    config = b'{"rootfs": {"diff_ids": ["%s", "%s"]}}' % (
        sha256(b"base").encode(),
        sha256(b"code").encode(),
    )
    files = docker_files(config, {"a": b"base", "b": b"code"})
    return ImageSource.from_docker_archive(tar(directory / "saved.tar.gz", files, gzipped=True))


def follow(boto: Any, source: ImageSource, planned: PushPlan) -> None:
    """Make the calls that a plan counts, and no other, by boto3."""
    for blob in planned.to_upload:
        upload_layer(boto, source, blob)

    by_digest = {manifest.digest: manifest for manifest in source.manifests}
    for descriptor in planned.manifests:
        manifest = by_digest[descriptor.digest]
        for tag in source.tags.get(manifest.digest, (None,)):
            put_image(boto, manifest, tag)


def upload_layer(boto: Any, source: ImageSource, blob: Descriptor) -> None:
    """Upload a blob in parts of the size that ECR asks for."""
    begun = boto.initiate_layer_upload(repositoryName="app")
    upload = {"repositoryName": "app", "uploadId": begun["uploadId"]}

    with source.open(blob) as file:
        first = 0
        while part := file.read(begun["partSize"]):
            boto.upload_layer_part(
                **upload,
                partFirstByte=first,
                partLastByte=first + len(part) - 1,
                layerPartBlob=part,
            )
            first += len(part)

    boto.complete_layer_upload(**upload, layerDigests=[blob.digest])


def put_image(boto: Any, manifest: ImageIndex | ImageManifest, tag: str | None) -> None:
    """Put a manifest under a tag, or without one, if the repository does not hold it."""
    put = {
        "repositoryName": "app",
        "imageManifest": manifest.raw.decode(),
        "imageManifestMediaType": manifest.media_type,
    }
    try:
        image = boto.put_image(**put, **({} if tag is None else {"imageTag": tag}))["image"]
    except boto.exceptions.ImageAlreadyExistsException:
        return
    assert image["imageId"]["imageDigest"] == manifest.digest


@pytest.mark.parametrize("held", ["none", "half", "all"])
@pytest.mark.parametrize("made", [one_image, two_platforms, saved])
async def test_a_push_that_follows_its_plan(
    ecr: LocalECR, tmp_path: Path, made: Callable[[Path], ImageSource], held: str
) -> None:
    """A push that follows its plan makes exactly the planned calls and gives a complete image."""
    source = made(tmp_path)
    boto: Any = importlib.import_module("boto3").client("ecr", **ecr.client_kwargs)
    if held == "half":
        ecr.seed("app", [(blob.digest, blob.size or 0) for blob in source.blobs[1::2]])
    elif held == "all":
        await asyncio.to_thread(follow, boto, source, plan(source, {}))
    ecr.stats.reset()

    async with ecr.client() as client:
        planned = await client.plan_push("app", source)
        await asyncio.to_thread(follow, boto, source, planned)
        calls = {
            operation: sum(outcomes.values())
            for operation, outcomes in ecr.stats.by_operation.items()
        }
        report = await client.verify_image("app", next(iter(source.tags.values()))[0])
    boto.close()

    assert {operation: count for operation, count in planned.calls.items() if count} == calls
    assert planned.all_blobs_present == (held == "all")
    assert (report.deployable, report.digest) == (True, source.roots[0].digest)
