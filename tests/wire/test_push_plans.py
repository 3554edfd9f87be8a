"""Push plans, followed by boto3: what a plan says is what a push does, by the local ECR's own count, and the image is accepted."""

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

    from ecr_layer_client.images import PushPlan
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

LARGE = bytes(10 * 1024 * 1024 + 1)  # two parts
APP = Image(b"{}", (LARGE, b"layer code", b"layer code"))
AMD = image("amd", "code", "amd")
ARM = image("arm", "code", "arm", foreign=["windows"])
REF = "org.opencontainers.image.ref.name"


def one_image(directory: Path) -> ImageSource:
    """Lay out an image of two tags, one of whose layers has two parts."""
    roots = [
        entry(APP.manifest, "application/vnd.oci.image.manifest.v1+json", annotations={REF: tag})
        for tag in ("v1", "latest")
    ]
    return ImageSource.from_oci_layout(
        write(directory, layout_files(roots, [APP.manifest, *APP.blobs]))
    )


def two_platforms(directory: Path) -> ImageSource:
    """Lay out an index of two images, one with a foreign layer, in an archive."""
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
    return ImageSource.from_docker_archive(
        tar(
            directory / "saved.tar.gz",
            docker_files(config, {"a": b"base", "b": b"code"}),
            gzipped=True,
        )
    )


def follow(boto: Any, source: ImageSource, planned: PushPlan) -> None:
    """Do what a plan says, and nothing else, by boto3."""
    for blob in planned.to_upload:
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
    by_digest = {manifest.digest: manifest for manifest in source.manifests}
    for descriptor in planned.manifests:
        manifest = by_digest[descriptor.digest]
        put = {
            "repositoryName": "app",
            "imageManifest": manifest.raw.decode(),
            "imageManifestMediaType": manifest.media_type,
        }
        for tag in source.tags.get(manifest.digest, (None,)):
            try:
                image = boto.put_image(**put, **({} if tag is None else {"imageTag": tag}))["image"]
            except boto.exceptions.ImageAlreadyExistsException:
                continue
            assert image["imageId"]["imageDigest"] == descriptor.digest


@pytest.mark.parametrize("held", ["new", "half", "whole"])
@pytest.mark.parametrize("made", [one_image, two_platforms, saved])
async def test_a_push_that_follows_its_plan(
    ecr: LocalECR, tmp_path: Path, made: Callable[[Path], ImageSource], held: str
) -> None:
    """A push by boto3 makes exactly the calls that the plan counts, uploads what it names, and leaves an image that is whole."""
    source = made(tmp_path)
    boto: Any = importlib.import_module("boto3").client("ecr", **ecr.client_kwargs)
    if held == "half":
        ecr.seed("app", [(blob.digest, blob.size or 0) for blob in source.blobs[1::2]])
    elif held == "whole":
        await asyncio.to_thread(follow, boto, source, plan(source, {}))
    ecr.stats.reset()
    async with ecr.client() as client:
        planned = await client.plan_push("app", source)
        await asyncio.to_thread(follow, boto, source, planned)
        done = {
            operation: sum(outcomes.values())
            for operation, outcomes in ecr.stats.by_operation.items()
        }
        report = await client.verify_image("app", next(iter(source.tags.values()))[0])
    boto.close()
    assert {operation: count for operation, count in planned.calls.items() if count} == done
    assert planned.all_blobs_present == (held == "whole")
    assert (report.deployable, report.digest) == (True, source.roots[0].digest)
