"""AWS's own test suite of Signature Version 4, which botocore ships in its source distribution: one case, one folder."""

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
UNSIGNED_TOKEN = {
    "post-sts-header-after"
}  # a token that is added after signing: some services take that, ECR is assumed not to


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give the folders of all cases, from the source distribution of the botocore that is installed."""
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


@pytest.fixture(autouse=True)
def _the_suites_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_signatures, "SERVICE", SERVICE)


def read(case: Path, kind: str) -> str:
    """Return one of a case's files."""
    return (case / f"{case.name}.{kind}").read_text(encoding="utf-8")


def signed_request(case: Path) -> Request:
    """Return a case's signed request, as an HTTP server would hand it over.

    Its signature is that of the `authz` file.

    In one case the signed request carries the signature of another case.
    """
    head, _, body = read(case, "sreq").partition("\n\n")
    first, *lines = head.replace("\n ", " ").split("\n")  # a header may go on in the next line
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
    """Return the code with which a request is refused; "ok" when it is not."""
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
    """Return what was found where it is not what is expected."""
    answers = {case: found(signed_request(case)) for case in cases}
    return {case.name: answer for case, answer in answers.items() if answer != expected(case)}


def test_the_suite_is_there(cases: list[Path]) -> None:
    """The suite has its cases, 34 when this was written."""
    assert len(cases) >= 30


def test_each_canonical_request_is_the_suites(cases: list[Path]) -> None:
    """Of every signed request the text that is hashed is, to the byte, the one in the suite."""

    def canonical(request: Request) -> str:
        return canonical_request(
            request, Authorization.parse(request.headers["authorization"]).signed_headers
        ).decode()

    assert differing(cases, canonical, lambda case: read(case, "creq")) == {}


def test_each_signature_is_verified(cases: list[Path]) -> None:
    """Every signed request passes, but for the one whose token is not signed."""

    def expected(case: Path) -> str:
        return "InvalidSignatureException" if case.name in UNSIGNED_TOKEN else "ok"

    assert differing(cases, outcome, expected) == {}


def test_no_signature_is_of_another_case(cases: list[Path]) -> None:
    """With its last digit changed, each is refused."""

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
