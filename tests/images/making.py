"""Images for tests: small blobs, manifests, layouts and archives in all specified forms."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecr_layer_client.images import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

OCI = "application/vnd.oci.image"
IMAGE = f"{OCI}.manifest.v1+json"
INDEX = f"{OCI}.index.v1+json"
CONFIG = f"{OCI}.config.v1+json"
LAYER = f"{OCI}.layer.v1.tar+gzip"
FOREIGN = f"{OCI}.layer.nondistributable.v1.tar+gzip"
DOCKER = "application/vnd.docker.distribution.manifest"

LAYOUT = b'{"imageLayoutVersion": "1.0.0"}'


def sha256(data: bytes) -> str:
    """Return the digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def entry(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """Return a descriptor as a manifest spells it."""
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data), **more}


def packed(**members: Any) -> bytes:
    """Return the bytes of a manifest."""
    return json.dumps({"schemaVersion": 2, **members}, indent=2).encode()


def descriptor(data: bytes, media_type: str = IMAGE) -> Descriptor:
    """Return the descriptor of some bytes."""
    return Descriptor(digest=sha256(data), size=len(data), media_type=media_type)


@dataclass
class Image:
    """One image with all its bytes.

    Attributes:
        config: The bytes of the config.
        layers: The bytes of the layers, in order.
        foreign: The bytes that foreign layers would have.
        annotations: Annotations of the manifest. They make two images of the same blobs different.
    """

    config: bytes
    layers: tuple[bytes, ...]
    foreign: tuple[bytes, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def manifest(self) -> bytes:
        """The bytes of the manifest."""
        layers = [entry(layer, LAYER) for layer in self.layers]
        layers += [
            entry(layer, FOREIGN, urls=["https://example.com/layer"]) for layer in self.foreign
        ]

        more = {"annotations": self.annotations} if self.annotations else {}
        return packed(mediaType=IMAGE, config=entry(self.config, CONFIG), layers=layers, **more)

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """The blobs that a registry stores."""
        return (self.config, *self.layers)


def image(name: str, *layers: str, foreign: Iterable[str] = ()) -> Image:
    """Make an image whose blobs consist of a few words."""
    config = json.dumps(
        {
            "name": name,
            "rootfs": {"diff_ids": [sha256(f"plain {layer}".encode()) for layer in layers]},
        }
    ).encode()

    return Image(
        config,
        tuple(f"layer {layer}".encode() for layer in layers),
        tuple(f"foreign {layer}".encode() for layer in foreign),
    )


def index(children: Mapping[str, bytes], **more: Any) -> bytes:
    """Return an index of manifests by their platforms, such as `linux/amd64`."""
    platforms = [(platform.split("/"), data) for platform, data in children.items()]
    entries = [
        entry(
            data, json.loads(data)["mediaType"], platform={"os": parts[0], "architecture": parts[1]}
        )
        for parts, data in platforms
    ]

    return packed(mediaType=INDEX, manifests=entries, **more)


def layout_files(roots: Iterable[dict[str, Any]], blobs: Iterable[bytes]) -> dict[str, bytes]:
    """Return the files of an OCI layout by name. Its index names the roots."""
    files = {"oci-layout": LAYOUT, "index.json": packed(manifests=list(roots))}
    return files | {f"blobs/{sha256(blob).replace(':', '/')}": blob for blob in blobs}


def write(directory: Path, files: Mapping[str, bytes]) -> Path:
    """Write files under a directory."""
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def tar(path: Path, files: Mapping[str, bytes | tarfile.TarInfo], *, gzipped: bool = False) -> Path:
    """Write files, or complete members, into an archive."""
    packing = io.BytesIO()
    with tarfile.open(fileobj=packing, mode="w") as archive:
        for name, data in files.items():
            if isinstance(data, tarfile.TarInfo):
                archive.addfile(data)
            else:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))

    path.write_bytes(gzip.compress(packing.getvalue(), 1) if gzipped else packing.getvalue())
    return path


def linked(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """Return a member that is a link, or another kind of member that is not a file."""
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    return member


def docker_files(
    config: bytes, layers: Mapping[str, bytes], names: Iterable[str] = ("team/app:1",)
) -> dict[str, bytes]:
    """Return the files of an archive that `docker save` wrote before version 25."""
    config_name = f"{sha256(config)[7:]}.json"
    saved = [{"Config": config_name, "RepoTags": list(names), "Layers": list(layers)}]
    return {**layers, config_name: config, "manifest.json": json.dumps(saved).encode()}


def saved(name: str, *layers: str) -> Image:
    """Make an image of uncompressed layers, as docker saves them."""
    plain = tuple(f"plain {layer}".encode() for layer in layers)
    rootfs = {"type": "layers", "diff_ids": [sha256(layer) for layer in plain]}
    return Image(json.dumps({"name": name, "rootfs": rootfs}).encode(), plain)


def blob_name(data: bytes) -> str:
    """Return the name of a blob's file."""
    return f"blobs/{sha256(data).replace(':', '/')}"


def row(one: Image, *names: str) -> dict[str, Any]:
    """Return an image's row of `manifest.json`."""
    layers = [blob_name(layer) for layer in one.layers]
    return {"Config": blob_name(one.config), "RepoTags": list(names) or None, "Layers": layers}


def docker_25(rows: list[dict[str, Any]], entries: Any, *blobs: bytes) -> dict[str, Any]:
    """Return the files of an archive that docker saves since version 25."""
    files = layout_files(entries or [], blobs) | {"manifest.json": json.dumps(rows).encode()}
    return files if entries else files | {"index.json": packed(manifests=None)}
