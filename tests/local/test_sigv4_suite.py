"""AWS's own test suite of Signature Version 4, from botocore's source distribution.

Each folder is one case.
"""

from __future__ import annotations

import sys
import tarfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import botocore
import pytest

from ecr_layer_client.local import _signatures
from ecr_layer_client.local._clock import Clock
from ecr_layer_client.local._protocol import Request
from ecr_layer_client.local._registry.errors import AwsError
from ecr_layer_client.local._signatures import Authorization, Key, Signatures, canonical_request
from wire.environments import ran

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

SUITE = "tests/unit/auth/aws4_testsuite/"
ID, SECRET, REGION, SERVICE = (
    "AKIDEXAMPLE",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "us-east-1",
    "service",
)
SIGNED_AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
# The token is added after signing. Some services accept that, and ECR is assumed to reject it.
UNSIGNED_TOKEN = {"post-sts-header-after"}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Provide the folders of all cases, from the source distribution of the installed botocore."""
    folder = tmp_path_factory.mktemp("botocore")
    wanted = f"botocore=={botocore.__version__}"
    said = ran(
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-binary=:all:",
        "--no-deps",
        "--dest",
        folder,
        wanted,
    )
    if said.returncode != 0:
        pytest.skip(
            f"needs the source distribution of {wanted}, and pip says: {said.stderr[-300:]}"
        )
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(
            folder, [each for each in packed.getmembers() if SUITE in each.name], filter="data"
        )

    return sorted(path.parent for path in folder.rglob("*.sreq"))


def _service_of(_: object) -> str:
    return SERVICE


@pytest.fixture(autouse=True)
def _the_suites_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_signatures, "service_of", _service_of)


def read(case: Path, kind: str) -> str:
    """Return one of a case's files."""
    return (case / f"{case.name}.{kind}").read_text(encoding="utf-8")


def signed_request(case: Path) -> Request:
    """Return a case's signed request, as an HTTP server would receive it.

    Its signature is that of the `authz` file, because in one case the signed request has the
    signature of another case.
    """
    head, _, body = read(case, "sreq").partition("\n\n")
    # A header may continue in the next line.
    first, *lines = head.replace("\n ", " ").split("\n")
    method, _, target = first.partition(" ")
    headers: dict[str, str] = {}

    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = (
            f"{headers[name.lower()]},{value}" if name.lower() in headers else value
        )

    return Request(
        method,
        target.rpartition(" ")[0],
        {**headers, "authorization": read(case, "authz")},
        body.encode(),
    )


def outcome(request: Request) -> str:
    """Return the error code for a request, or "ok" if it passes."""
    clock = Clock()
    clock.skew = SIGNED_AT - clock.now()
    known = Signatures(region=REGION, clock=clock)
    known.add(ID, Key(SECRET, request.headers.get("x-amz-security-token")))
    try:
        known.verify(request)
    except AwsError as error:
        return error.code

    return "ok"


def differing(
    cases: list[Path], found: Callable[[Request], object], expected: Callable[[Path], object]
) -> dict[str, object]:
    """Return the results that differ from the expected ones."""
    answers = {case: found(signed_request(case)) for case in cases}
    return {case.name: answer for case, answer in answers.items() if answer != expected(case)}


def test_the_suite_is_there(cases: list[Path]) -> None:
    """The suite has at least 30 cases."""
    assert len(cases) >= 30


def test_each_canonical_request_is_the_suites(cases: list[Path]) -> None:
    """The canonical request of every case equals that of the suite, byte for byte."""

    def canonical(request: Request) -> str:
        return canonical_request(
            request, Authorization.parse(request.headers["authorization"]).signed_headers
        ).decode()

    assert differing(cases, canonical, lambda case: read(case, "creq")) == {}


def test_each_signature_is_verified(cases: list[Path]) -> None:
    """Every signed request passes, except for the one whose token is not signed."""

    def expected(case: Path) -> str:
        return "InvalidSignatureException" if case.name in UNSIGNED_TOKEN else "ok"

    assert differing(cases, outcome, expected) == {}


def test_a_changed_signature_is_rejected(cases: list[Path]) -> None:
    """Every signature is rejected after its last digit changes."""

    def changed(request: Request) -> str:
        authorization = request.headers["authorization"]
        last = "0" if authorization[-1] != "0" else "1"

        return outcome(
            Request(
                request.method,
                request.path,
                {**request.headers, "authorization": authorization[:-1] + last},
                request.body,
            )
        )

    assert differing(cases, changed, lambda _: "InvalidSignatureException") == {}
