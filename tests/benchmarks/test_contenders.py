"""The stub ECR and the contenders of the benchmark: all contenders get the same answers."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from contenders import CONTENDERS, ENVIRONMENT, Contender
from fresh import stub_ecr
from trial import digests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DIGESTS = list(digests(250))
# Packages that a contender needs and the tests do not.
_NEEDS = {"floor": "orjson", "capo": "capo_ecr"}
_HEAVY = {"boto3", "boto3-threads", *_NEEDS}


def _params(*, held: bool) -> list[Any]:
    """Return the contenders that keep their answers, or those that drop them."""
    return [
        pytest.param(contender, id=name, marks=pytest.mark.full if name in _HEAVY else ())
        for name, contender in CONTENDERS.items()
        if (contender.read is not None) == held
    ]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Run the stub in another process and give its URL."""
    with stub_ecr() as url:
        yield url


def _checked(contender: Contender, url: str) -> Any:
    if contender.name in _NEEDS:
        pytest.importorskip(_NEEDS[contender.name])

    async def check() -> Any:
        async with contender.open(url, 10) as ask:
            return await ask(_DIGESTS)

    return asyncio.run(check())


def _answer_of_the_stub(digest: str) -> tuple[str, int | None]:
    if digest.startswith(("sha256:0", "sha256:1")):
        return "UNAVAILABLE", None
    return "AVAILABLE", 1_000_000 + 7_919 * int.from_bytes(digest[7:9].encode())


@pytest.mark.parametrize("contender", _params(held=True))
def test_a_contender_keeps_every_answer(contender: Contender, url: str) -> None:
    """Each contender that keeps its answers has the stub's answer for each digest."""
    assert contender.read is not None
    assert contender.read(_checked(contender, url)) == {
        digest: _answer_of_the_stub(digest) for digest in _DIGESTS
    }


@pytest.mark.parametrize("contender", _params(held=False))
def test_a_contender_counts_every_answer(contender: Contender, url: str) -> None:
    """Each contender that drops its answers counts one for each digest."""
    assert _checked(contender, url) == len(_DIGESTS)


def test_the_stub_keeps_its_quota() -> None:
    """Above its quota, the stub throttles requests as ECR does."""
    with stub_ecr("--quota", "0.001", "--burst", "1") as url:
        check = Request(url, b'{"layerDigests": []}')  # noqa: S310 (the stub's own)
        with urlopen(check, timeout=10) as accepted:  # noqa: S310
            answer = json.load(accepted)
        with pytest.raises(HTTPError) as throttled:
            urlopen(check, timeout=10)  # noqa: S310

        with throttled.value as response:
            assert (answer, response.code, json.load(response)["__type"]) == (
                {"layers": [], "failures": []},
                400,
                "ThrottlingException",
            )
