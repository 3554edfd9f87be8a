"""The warnings of a plan: content that ECR refuses, and images that a source lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecr_layer_client._models.services import MIB
from ecr_layer_client._text.quoting import quoted

from ._descriptor import named_child
from ._manifest import ImageIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ecr_layer_client._models.services import Service

    from ._descriptor import Descriptor
    from ._source import ImageSource


def warnings_of(
    sources: Iterable[ImageSource], to_upload: Iterable[Descriptor], service: Service
) -> tuple[str, ...]:
    """Return one line for each thing in a push that fails or leaves something out, each once."""
    of_blobs = (warning for blob in to_upload for warning in _of_blob(blob, service))
    of_sources = (warning for source in sources for warning in _of_source(source))
    return tuple(dict.fromkeys([*of_blobs, *of_sources]))


def too_large(blob: Descriptor, service: Service) -> str | None:
    """Return what is wrong with a blob that is larger than the service accepts. None: nothing."""
    most = service.max_layer_bytes
    if blob.size is None or blob.size <= most:
        return None
    mib = f"{most // MIB:,} MiB"
    return f"has {blob.size} bytes, and {service.title} accepts at most {most} ({mib})"


def _of_blob(blob: Descriptor, service: Service) -> Iterator[str]:
    named = f"{blob.digest} ({quoted(blob.media_type)})"
    if blob.size == 0:
        yield (
            f"{named} has 0 bytes, and ECR refuses an empty blob: "
            "make the image again with a blob that is not empty"
        )
    problem = too_large(blob, service)
    if problem is not None:
        yield f"{named} {problem}: make the image again with smaller layers"


def _of_source(source: ImageSource) -> Iterator[str]:
    for manifest in source.manifests:
        if isinstance(manifest, ImageIndex) and (manifest.blobs or manifest.foreign):
            yield (
                f"{manifest.digest} is an index whose entries are layers, such as a build cache, "
                "and ECR refuses it: export the cache as an image (image-manifest=true)"
            )
    for child in source.missing:
        yield (
            f"{named_child(child)} was not saved: the push leaves out the index that names it, "
            "and pushes the images that exist"
        )
