"""Images that other people's tools can unpack."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

from images.making import Image, index, sha256


def real(architecture: str, *names: str) -> Image:
    """Return an image that a tool can unpack.

    Its layers are gzipped tar archives. Its config has the digests of the unpacked archives.
    """
    plain: list[bytes] = []
    for name in names:
        packing = io.BytesIO()
        with tarfile.open(fileobj=packing, mode="w") as packed:
            member = tarfile.TarInfo(name)
            member.size = 5000
            packed.addfile(member, io.BytesIO(name.encode().ljust(5000)))
        plain.append(packing.getvalue())

    diff_ids = [sha256(layer) for layer in plain]
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }

    return Image(
        json.dumps(config).encode(), tuple(gzip.compress(layer, mtime=0) for layer in plain)
    )


AMD, ARM = real("amd64", "base", "code", "base"), real("arm64", "base", "arm code")
BOTH = index({"linux/amd64": AMD.manifest, "linux/arm64": ARM.manifest})
REF = "org.opencontainers.image.ref.name"
