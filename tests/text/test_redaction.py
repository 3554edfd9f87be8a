"""What is left out of texts because it may be secret, and what is kept because it is not."""

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


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"the key {text} is not active".replace("CANARY", CANARY), id=text[:60])
        for text in (
            *(
                "AKIACANARY".replace("CANARY", "C4N4RYC4N4RY"),
                "'ASIAC4N4RYC4N4RY'",
                "x_AKIAC4N4RYC4N4RY",
            ),
            *(
                "FwoGZXIvYXdzECANARY/+=",
                "IQoJb3JpZ2luX2VjECANARY",
                "FQoGZXIvYXdzECANARY",
                "AQoDYXdzECANARYCANARY",
            ),
            *(
                "sessionToken=CANARY",
                "session_token: CANARY",
                "aws_session_token=CANARY",
                "AWS_SESSION_TOKEN = CANARY",
            ),
            *(
                "secret_access_key=CANARY",
                "aws_secret_access_key = CANARY",
                "SecretAccessKey: CANARY",
                "secretKey=CANARY",
            ),
            *(
                "access_key_id=CANARY",
                "accessKeyId: CANARY",
                "AWSAccessKeyId=CANARY&",
                "Secret Access Key: CANARY",
            ),
            *(
                '{"Signature": "CANARY"}',
                '{"SessionToken":"CANARY"}',
                "{'signature' : 'CANARY'}",
                r"{\"Signature\": \"CANARY\"}",
            ),
            *("<SessionToken>CANARY</SessionToken>", "<SecretAccessKey>CANARY</SecretAccessKey>"),
            *(
                "Signature%3DCANARY",
                "Signature%3dCANARY",
                "X-Amz-Signature%253DCANARY",
                "Credential%3DCANARY",
                "X-Amz-Security-Token%3DCANARY",
            ),
            *(
                "https://user:CANARY@host/",
                "http://user:p@CANARY@host:80/path",
                "//CANARY@@host",
                "https://a@CANARY@b@host?x",
            ),
            *("Authorization: Bearer CANARY", "authorizationToken CANARY"),
        )
    ],
)
def test_left_out(text: str) -> None:
    """What looks like a key, a token, a signature or a password is left out, in whatever form a text repeats it."""
    assert [c for c in (CANARY, CANARY.upper()) if c in redact(text)] == []


def test_a_long_run_is_left_out() -> None:
    """What is as long as a session token, and in both letter cases, is left out.

    What stands around it is kept.
    """
    assert redact(f"invalid: {LONG}.") == "invalid: ***."


@pytest.mark.parametrize(
    "text",
    [
        "The security token included in the request is invalid.",
        "Check your AWS Secret Access Key and signing method.",
        "Credential should be scoped to a valid region, not 'us-east-1'. ",
        "User: arn:aws:sts::123456789012:assumed-role/deploy/AKIA is not authorized to perform: ecr:BatchCheckLayerAvailability",
        "Partial credentials found in env, missing: aws_secret_access_key",
        "https://123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app@sha256:" + "ab" * 32,
        "https://host/?who=me@example.com",
        "sha512:" + "aF" * 64,
        "x" * 10_000,
        "MAKIAVELLI, SAKIAAAAAAAAAAAAAAAAAA",
    ],
    ids=lambda text: text[:30],
)
def test_kept(text: str) -> None:
    """What only speaks of keys and tokens is kept whole."""
    assert redact(text) == text


def test_what_stands_around_a_key_is_kept() -> None:
    """The id of a key goes, and the words around it stay."""
    assert quoted("User: AKIAIOSFODNN7EXAMPLE is not authorized") == "'User: *** is not authorized'"


class _Sender:
    def __init__(self, *secrets: str) -> None:
        self._secrets = secrets

    def secrets(self) -> Iterable[str]:
        """Return them."""
        return self._secrets


OPAQUE = "zq/" + CANARY + "+opaque="


@pytest.mark.parametrize(
    "spelled",
    [OPAQUE, quote(OPAQUE, safe=""), OPAQUE[:16], f"<td>{OPAQUE}</td>"],
    ids=["plain", "encoded", "cut", "HTML"],
)
def test_what_is_in_use_is_left_out(spelled: str) -> None:
    """What a living sender sent is left out by its value, though nothing tells it from any word, and is forgotten with the sender."""
    sender = _Sender("", "word", OPAQUE)
    leave_out_secrets_of(sender)
    while_it_lives = redact(f"a word: {spelled}!")
    del sender
    gc.collect()
    assert (while_it_lives, redact(f"a word: {spelled}!")) == (
        "a word: <td>***</td>!" if "<" in spelled else "a word: ***!",
        f"a word: {spelled}!",
    )
