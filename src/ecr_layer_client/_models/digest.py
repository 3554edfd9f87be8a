"""Which texts ECR accepts as digests, and how a digest is spelled."""

from __future__ import annotations

import re

WELL_FORMED = re.compile(r"[a-zA-Z0-9\-_+.]+:[a-fA-F0-9]+")  # ECR model: LayerDigest, a full match
MAX_DIGEST_LENGTH = 1000  # characters; ECR model: BatchedOperationLayerDigest


def is_well_formed(digest: str) -> bool:
    """Return whether ECR accepts a text as a digest.

    A malformed digest would fail the whole batch that contains it.
    """
    return len(digest) <= MAX_DIGEST_LENGTH and WELL_FORMED.fullmatch(digest) is not None


def canonical(digest: str) -> str:
    """Return the spelling of a digest that registries use: lower case.

    Text beyond ASCII is not a digest and is returned unchanged, because its letter case can't be
    changed safely.
    """
    return digest.lower() if digest.isascii() else digest
