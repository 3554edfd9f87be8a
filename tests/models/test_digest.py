"""Which texts are digests, and how a digest is spelled."""

from __future__ import annotations

import pytest

from ecr_layer_client._models.digest import MAX_DIGEST_LENGTH, canonical, is_well_formed

DIGEST = "sha256:" + "a" * 64
LONGEST = "a:" + "0" * (MAX_DIGEST_LENGTH - 2)


@pytest.mark.parametrize(
    ("digest", "well_formed"),
    [
        *((digest, True) for digest in (DIGEST, DIGEST.upper(), "sha512+b64.x_y-z:0F", LONGEST)),
        *((digest, False) for digest in (f"{LONGEST}0", "", "sha256:", ":aa", "latest")),
        *((digest, False) for digest in ("sha256:xyz", f"{DIGEST}\n", f" {DIGEST}")),
        # Full-width digits, and a lone surrogate.
        *((digest, False) for digest in ("sha256:\uff11\uff12", "sha256:aa\ud800")),
    ],
    ids=lambda value: ascii(value)[-24:],
)
def test_is_well_formed(digest: str, *, well_formed: bool) -> None:
    """A digest is well-formed if all of it matches ECR's pattern within ECR's length."""
    assert is_well_formed(digest) == well_formed


@pytest.mark.parametrize(
    ("digest", "spelling"),
    [
        # The letters that are not ASCII would become a "k" and an "i" in lower case.
        *(("SHA256:AbC", "sha256:abc"), ("sha256:\u212a", "sha256:\u212a")),
        ("\u0130:AA", "\u0130:AA"),
    ],
)
def test_canonical(digest: str, spelling: str) -> None:
    """The canonical spelling of ASCII text is lower case; other text is unchanged."""
    assert canonical(digest) == spelling
