"""The base64 texts of a part do not depend on the chunks in which the part comes."""

from __future__ import annotations

from base64 import b64decode
from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client.transfers._parts import PIECE_BYTES, Base64Texts, base64_texts

DATA = bytes(range(251)) * (5 * PIECE_BYTES // 251)
NEAR_A_PIECE = st.integers(-4, 4).map(PIECE_BYTES.__add__)
SIZES = st.lists(st.one_of(st.integers(0, 10), NEAR_A_PIECE, st.integers(0, 2 * PIECE_BYTES)))


@given(SIZES)
def test_chunks_of_any_size(sizes: list[int]) -> None:
    """Chunks of any sizes give the texts of the same bytes in one piece."""
    texts = Base64Texts()
    for start, stop in pairwise(accumulate(sizes, initial=0)):
        texts.add(DATA[start:stop])

    whole, made = DATA[: sum(sizes)], texts.end()
    assert made == [*base64_texts(whole)]
    assert b64decode(b"".join(made)) == whole
