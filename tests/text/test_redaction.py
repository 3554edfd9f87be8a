"""Secrets are left out of texts, and words that only speak of secrets are kept."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.redaction import leave_out_secrets_of, redact

if TYPE_CHECKING:
    from collections.abc import Iterable

CANARY = "c4n4ryC4N4RY"
LONG = f"{CANARY}+/gG" * 13  # as long as a session token
OPAQUE = f"zq/{CANARY}+opaque="
KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    "text",
    [
        *("AKIAC4N4RYC4N4RY", "'ASIAC4N4RYC4N4RY'", "x_AKIAC4N4RYC4N4RY"),
        *("FwoGZXIvYXdzECANARY/+=", "IQoJb3JpZ2luX2VjECANARY", "FQoGZXIvYXdzECANARY"),
        *("AQoDYXdzECANARYCANARY", "sessionToken=CANARY", "session_token: CANARY"),
        *("aws_session_token=CANARY", "AWS_SESSION_TOKEN = CANARY", "secret_access_key=CANARY"),
        *("aws_secret_access_key = CANARY", "SecretAccessKey: CANARY", "secretKey=CANARY"),
        *("access_key_id=CANARY", "accessKeyId: CANARY", "AWSAccessKeyId=CANARY&"),
        *("Secret Access Key: CANARY", '{"Signature": "CANARY"}', '{"SessionToken":"CANARY"}'),
        *("{'signature' : 'CANARY'}", r"{\"Signature\": \"CANARY\"}"),
        *("<SessionToken>CANARY</SessionToken>", "<SecretAccessKey>CANARY</SecretAccessKey>"),
        *("Signature%3DCANARY", "Signature%3dCANARY", "X-Amz-Signature%253DCANARY"),
        *("Credential%3DCANARY", "X-Amz-Security-Token%3DCANARY", "https://user:CANARY@host/"),
        *("http://user:p@CANARY@host:80/path", "//CANARY@@host", "https://a@CANARY@b@host?x"),
        *("Authorization: Bearer CANARY", "authorizationToken CANARY"),
    ],
)
def test_secret_is_left_out(text: str) -> None:
    """A key, token, signature or password is left out, in whatever form a text repeats it."""
    shown = redact(f"the key {text} is not active".replace("CANARY", CANARY), 1000)
    assert [secret for secret in (CANARY, CANARY.upper()) if secret in shown] == []


def test_words_around_a_secret_are_kept() -> None:
    """The words around a long token and around the id of a key are kept."""
    assert redact(f"invalid: {LONG}.", 1000) == "invalid: ***."
    assert quoted("User: AKIAIOSFODNN7EXAMPLE is not authorized") == "'User: *** is not authorized'"


@pytest.mark.parametrize(
    "text",
    [
        "The security token included in the request is invalid.",
        "Check your AWS Secret Access Key and signing method.",
        "Credential should be scoped to a valid region, not 'us-east-1'. ",
        "User: arn:aws:sts::123456789012:assumed-role/deploy/AKIA is not authorized to perform: x",
        "Partial credentials found in env, missing: aws_secret_access_key",
        "https://123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app@sha256:" + "ab" * 32,
        *("https://host/?who=me@example.com", "sha512:" + "aF" * 64, "x" * 10_000),
        *(
            "MAKIAVELLI, SAKIAAAAAAAAAAAAAAAAAA",
            "commit " + "0a1b2c3d4e" * 4,
            "Ab1" * 13,
            "aF9b" * 10,
        ),
        *(
            "Abcdefgh" * 5,
            "a1" * 20,
            "A1" * 20,
            KEY + "9",
            "9" + KEY,
            "a.Long.Name.with.Dots.of.40.Characters.1",
        ),
    ],
    ids=lambda text: text[:30],
)
def test_text_without_a_secret_is_kept(text: str) -> None:
    """A text that only speaks of keys and tokens is unchanged."""
    assert redact(text, len(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        quote(KEY, safe=""),
        quote(KEY, safe="").replace("%2F", "%2f"),
        KEY.replace("/", r"\/"),
        KEY[::-1],
    ],
    ids=["plain", "encoded", "in-lower-case", "JSON", "reversed"],
)
@pytest.mark.parametrize("around", ["{}", "key={}&", "'{}'", "<td>{}</td>", "x {}= y", "a-{}-b"])
def test_bare_secret_access_key(text: str, around: str) -> None:
    """Exactly 40 characters of base64 that mix cases and digits are a secret access key."""
    assert redact(around.format(text), 1000) == around.format("***")


@pytest.mark.parametrize("start", [1960, 1990, 2000])
def test_cut_text_has_no_part_of_a_secret(start: int) -> None:
    """A secret where the text is cut is left out completely."""
    text = "." * start + KEY + "." * 10_000
    assert redact(text, 2000) == ("." * start + "***" + "." * 2000)[:2000]


def test_cut_text_that_shrank_has_no_part_of_a_secret() -> None:
    """A secret at the end of what is read is left out, too, where the rest moves up."""
    for padding in range(60):
        text = "." * padding + f"{LONG}{LONG} " * 8 + KEY * 200
        assert KEY[:8] not in redact(text, 2000)


class _Sender:
    def __init__(self, *secrets: str) -> None:
        self._secrets = secrets

    def secrets(self) -> Iterable[str]:
        return self._secrets


@pytest.mark.parametrize(
    "spelled",
    [OPAQUE, quote(OPAQUE, safe=""), OPAQUE[:16], f"<td>{OPAQUE}</td>"],
    ids=["plain", "encoded", "truncated", "HTML"],
)
def test_secret_in_use_is_left_out(spelled: str) -> None:
    """The values that a living sender sent are left out; they are forgotten with the sender."""
    sender = _Sender("", "word", OPAQUE)
    leave_out_secrets_of(sender)
    shown = "<td>***</td>" if "<" in spelled else "***"
    assert redact(f"a word: {spelled}!", 1000) == f"a word: {shown}!"

    del sender
    gc.collect()
    assert redact(f"a word: {spelled}!", 1000) == f"a word: {spelled}!"
