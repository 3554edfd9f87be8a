"""The warnings of a plan: content that ECR refuses, and images that a source lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecr_layer_client._text.quoting import quoted

from ._descriptor import named_child
from ._manifest import ImageIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._descriptor import Descriptor
    from ._source import ImageSource


def warnings_of(sources: Iterable[ImageSource], to_upload: Iterable[Descriptor]) -> tuple[str, ...]:
    """Return one line for each thing in a push that fails or leaves something out, each once."""
    empty = (
        f"{blob.digest} ({quoted(blob.media_type)}) has 0 bytes, and ECR refuses an empty blob: "
        "make the image again with a blob that is not empty"
        for blob in to_upload
        if blob.size == 0
    )
    of_sources = (warning for source in sources for warning in _of_source(source))
    return tuple(dict.fromkeys([*empty, *of_sources]))


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
