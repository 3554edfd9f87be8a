"""Responses to BatchCheckLayerAvailability, mutated: members, rows, tokens and bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    Member = tuple[str, str]  # the texts of a name and of a value
    Members = list[Member]

DIGESTS = [f"sha256:{letter * 8}" for letter in "abcdef"]
OTHER_DIGESTS = ["sha256:AAAAAAAA", "sha256:aa", "latest", "", " sha256:aaaaaaaa", "sha256:\\u0061"]
STATES = ["AVAILABLE", "UNAVAILABLE", "ARCHIVED"]
CODES = ["InvalidLayerDigest", "MissingLayerDigest"]
IN_QUOTES = [
    *("layers", "failures", "Layers", "\\u006cayers"),
    *("layerDigest", "layerdigest", "layer\\u0044igest", "layerAvailability", "layerSize"),
    *("mediaType", "failureCode", "failureReason", "digest", "availability", "size", "code"),
    *("media_type", "raw_availability", "raw_code", "outcome", "layer", "failure"),
    *("AVAILABLE", "available", "AVAILABLE ", "\\u0041VAILABLE", "ARCHIVED", "FROZEN", "UNKNOWN"),
    *("MissingLayerDigest", "Unknown", "NotReported", "NOT_REPORTED", "", "x", "32", '\\"', "\\\\"),
    *("\\ud83d\\ude00", "\\ud800", "\\udc00\\ud800", "\\u0000", "\\u00", "\\x", "\\"),
    *("\x00", "\n", "\x7f", "\N{LATIN SMALL LETTER E WITH ACUTE}", "\u2028", "\U0001f600"),
]
NAMES = [*(f'"{text}"' for text in IN_QUOTES), "x", "1", "null"]
VALUES = [
    *("null", "true", "false", "[]", "{}", "[null]", '{"x":1}', '{"x":1,"x":1}', '[{"x":1}]'),
    *("0", "-0", "-1", "1", "1.0", "1e2", "1E400", "1e-400", "01", "+1", "1.", ".5", "-", "0x1"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "9" * 30, "1" * 1_000),
    *("NaN", "Infinity", "-Infinity", "nan", "None", "True", "undefined", "'x'", "", '"'),
    *("[" * 60 + "]" * 60, '{"x":' * 60 + "1" + "}" * 60, "[" * 2_000 + "]" * 2_000, "[" * 2_000),
    *(f'"{text}"' for text in IN_QUOTES),
]
SPLICES = [
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b",,", b"null", b"0", b"-", b".", b"e9"),
    *(b" ", b"\n", b"\t", b"\r", b"\x00", b"\x0b", b"\xa0", b"\x1f", b"\xff", b"\xc0\x80", b"\xc3"),
    *(b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\\u0022", b"//"),
]


def responses(random: Random, count: int) -> Iterator[bytes]:
    """Produce responses, most of them mutated: members, rows, values, then bytes."""
    for _ in range(count):
        members = [('"layers"', _rows(random, _layer)), ('"failures"', _rows(random, _failure))]
        body = _object(_mutated_members(random, members, 0.2)).encode()
        while random.random() < 0.3:
            body = _mutated_bytes(random, body)
        yield body


def _layer(random: Random) -> Members:
    layer = [_digest(random), ('"layerAvailability"', f'"{random.choice(STATES)}"')]
    if random.random() < 0.5:
        layer.append(('"layerSize"', str(random.randrange(100))))
    if random.random() < 0.3:
        layer.append(('"mediaType"', '"text/plain"'))
    return layer


def _failure(random: Random) -> Members:
    failure = [_digest(random), ('"failureCode"', f'"{random.choice(CODES)}"')]
    if random.random() < 0.5:
        failure.append(('"failureReason"', '"not found"'))
    return failure


def _digest(random: Random) -> Member:
    others = OTHER_DIGESTS if random.random() < 0.1 else DIGESTS
    return '"layerDigest"', f'"{random.choice(others)}"'


def _rows(random: Random, row: Callable[[Random], Members]) -> str:
    rows = [
        _object(_mutated_members(random, row(random), 0.15)) for _ in range(random.randrange(5))
    ]
    if rows and random.random() < 0.1:
        at = random.randrange(len(rows))
        rows[at : at + 1] = random.choice(([], [rows[at]] * 2, [random.choice(VALUES)]))
    return f"[{','.join(rows)}]"


def _mutated_members(random: Random, members: Members, chance: float) -> Members:
    while random.random() < chance:
        at = random.randrange(len(members) + 1)
        here = members[at : at + 1]
        name, value = random.choice(NAMES), random.choice(VALUES)
        changed = random.choice(
            (
                [],
                [*here, *here],
                [*here, (name, value)],
                [(name, value)],
                [(same, value) for same, _ in here],
                [(same, value) for same, _ in here],
                [*here, *((same, value) for same, _ in here)],
                [(name, same) for _, same in here],
            )
        )
        members = [*members[:at], *changed, *members[at + 1 :]]
    return members


def _object(members: Members) -> str:
    return f"{{{','.join(f'{name}:{value}' for name, value in members)}}}"


def _mutated_bytes(random: Random, body: bytes) -> bytes:
    start = random.randrange(len(body) + 1)
    end = start + random.choice((1, 1, 2, 5, 30, 1_000))
    before, part, after = body[:start], body[start:end], body[end:]
    splice = random.choice(SPLICES)
    return random.choice(
        (
            before,
            part + after,
            before + after,
            before + part + part + after,
            before + part[::-1] + after,
            after + part + before,
            before + splice + after,
            before + splice + part + after,
            before + bytes(byte ^ 1 << random.randrange(8) for byte in part[:1]) + part[1:] + after,
        )
    )
