"""`ecr-layers check`, run in this process against a local ECR."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from ecr_layer_client.local import LocalECR

    Run = Callable[..., CompletedProcess[str]]

HELD = [f"sha256:{number:064x}" for number in range(3)]
ABSENT = "sha256:" + "f" * 64
TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
REASON = (
    "not sent: it does not match ECR's pattern for a digest, "
    "'algorithm:hex' of at most 1000 characters"
)


def answered(ran: CompletedProcess[str]) -> list[str]:
    """Return the digests of the printed JSON lines."""
    return [json.loads(line)["digest"] for line in ran.stdout.splitlines()]


def test_a_table_for_people(run: Run) -> None:
    """Without --json, each digest has a row, in the order of the arguments, before a summary."""
    ran = run("check", "team/app", HELD[0], "latest", ABSENT)
    assert ran.stdout.splitlines() == [
        "OUTCOME            SIZE  DIGEST",
        f"available        1.5 MB  {HELD[0]}",
        f"undetermined          -  latest  (InvalidLayerDigest: {REASON})",
        f"absent                -  {ABSENT}",
        "3 digests: 1 available (1.5 MB), 1 absent, 1 undetermined",
    ]


def test_an_archived_layer_is_named_so(run: Run) -> None:
    """A layer that only archived images hold is printed as `archived`."""
    ran = run("check", "team/old", HELD[2])
    assert [line.split()[0] for line in ran.stdout.splitlines()[1:]] == ["archived", "1"]


def test_json_lines(run: Run) -> None:
    """With --json, each outcome is an object with the same members, and nothing else is printed."""
    ran = run("check", "team/app", HELD[0], "latest", "--json")

    row = {
        "repository": "team/app",
        "code": None,
        "reason": None,
        "availability": None,
        "size": None,
        "media_type": None,
    }
    held = {
        "digest": HELD[0],
        "outcome": "layer",
        "availability": "AVAILABLE",
        "size": 1_500_000,
        "media_type": TYPE,
    }
    malformed = {
        "digest": "latest",
        "outcome": "failure",
        "code": "InvalidLayerDigest",
        "reason": REASON,
    }

    assert [json.loads(line) for line in ran.stdout.splitlines()] == [row | held, row | malformed]


@pytest.mark.parametrize(
    ("repository", "digest", "code"),
    [
        ("team/app", HELD[1], 0),
        ("team/app", ABSENT, 1),
        ("team/app", "latest", 1),
        ("team/old", HELD[2], 1),
    ],
    ids=["available", "absent", "malformed", "archived"],
)
def test_the_exit_code_says_whether_all_are_available(
    run: Run, repository: str, digest: str, code: int
) -> None:
    """The exit code is 0 if all digests are available, and 1 if one is not."""
    ran = run("check", repository, HELD[0], digest)
    assert (ran.returncode, ran.stderr) == (code, "")


def test_arguments_are_answered_in_their_order_and_once(run: Run) -> None:
    """A repeated digest is printed once, in its first spelling and place."""
    shouted = "SHA256:" + "F" * 64
    ran = run("check", "team/app", HELD[2], shouted, HELD[0], ABSENT, HELD[2], "--json")
    assert answered(ran) == [HELD[2], shouted, HELD[0]]


@pytest.mark.parametrize("arguments", [[], ["-"]], ids=["none", "dash"])
def test_digests_come_from_standard_input(run: Run, arguments: list[str]) -> None:
    """Without digests as arguments, or with a dash, standard input has one digest per line."""
    ran = run("check", "team/app", "--json", *arguments, stdin=f"{HELD[0]}\n{HELD[1]}\n")
    assert answered(ran) == HELD[:2]


@pytest.mark.parametrize(
    ("stdin", "digests"),
    [
        (f"\n{HELD[0]}\n  \n\n", [HELD[0]]),
        (f"  {HELD[0]}\t\n", [HELD[0]]),
        (f"{HELD[0]}\r\n{HELD[1]}\r\n", HELD[:2]),
        (HELD[0], [HELD[0]]),
        (b"\xef\xbb\xbf" + HELD[0].encode(), [HELD[0]]),
        (b"caf\xe9\n", ["caf\\xe9"]),
        ("x" * 200_000 + f"\n{HELD[0]}", ["x" * 4096, HELD[0]]),
        (f"# {HELD[0]}\n", [f"# {HELD[0]}"]),
        (b"a\0b\n", ["a\0b"]),
    ],
    ids=[
        "blank lines",
        "blanks",
        "CRLF",
        "no end of line",
        "byte order mark",
        "not UTF-8",
        "endless line",
        "comment",
        "NUL",
    ],
)
def test_lines_are_taken_as_people_write_them(
    run: Run, stdin: str | bytes, digests: list[str]
) -> None:
    """Blanks around a digest and blank lines are removed, and nothing else is."""
    assert answered(run("check", "team/app", "--json", stdin=stdin)) == digests


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_an_error(run: Run, encoding: str) -> None:
    """UTF-16 input, as PowerShell's `>` writes it, is an error that says how to fix it."""
    ran = run("check", "team/app", stdin=f"\ufeff{HELD[0]}\n".encode(encoding))
    message = (
        "error: standard input is UTF-16, which PowerShell's `>` writes: convert it to UTF-8, "
        "for example with `Out-File -Encoding utf8`\n"
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", message)


def test_text_from_outside_can_not_move_the_cursor(run: Run) -> None:
    """Control characters are escaped, and long text is truncated."""
    ran = run("check", "team/app", "\x1b[2J" + "x" * 300)
    assert (
        ran.stdout.splitlines()[1]
        == f"undetermined          -  \\x1b[2J{'x' * 193}...  (InvalidLayerDigest: {REASON})"
    )


def test_no_digests_at_all_is_said(run: Run, ecr: LocalECR) -> None:
    """Empty input is an error, so that a gate can't pass because its input failed."""
    before = ecr.stats.requests
    ran = run("check", "team/app", stdin="")
    expected = 2, "", "error: no digests on standard input: nothing was checked\n", before
    assert (ran.returncode, ran.stdout, ran.stderr, ecr.stats.requests) == expected


def test_batch_size_is_the_digests_of_a_request(run: Run, ecr: LocalECR) -> None:
    """Three digests in batches of two take two requests."""
    before = ecr.stats.requests
    run("check", "team/app", *HELD, "--batch-size", "2", "--concurrency", "1")
    assert ecr.stats.requests - before == 2


@pytest.mark.usefixtures("environment")
def test_a_uri_brings_its_region(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry URI needs no --region."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app"
    assert run("check", uri, HELD[0]).returncode == 0


def test_an_explicit_endpoint_is_asked(
    run: Run, ecr: LocalECR, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --endpoint-url and --region, the environment need only have credentials."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_ECR")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    options = ["--endpoint-url", ecr.endpoint_url, "--region", "us-east-1"]
    assert run("check", "team/app", HELD[0], *options).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "without", "said"),
    [
        (
            ["team/none", ABSENT],
            "",
            "error: BatchCheckLayerAvailability on repository 'team/none' ",
        ),
        (["Team/App", ABSENT], "", "error: 'Team/App' is not a valid ECR repository name: "),
        (
            ["team/app:1", ABSENT],
            "",
            "error: 'team/app:1' names more than a repository: leave out the tag",
        ),
        (
            ["team/app", ABSENT, "--timeout", "0"],
            "",
            "error: --timeout 0 must be a number of seconds greater than 0 and less than 1,",
        ),
        (
            ["team/app", ABSENT, "--profile", "none"],
            "",
            "error: the AWS configuration is not valid: 'The config profile (none) ",
        ),
        (
            ["team/app", ABSENT, "--endpoint-url", "http://a.example"],
            "",
            "error: --endpoint-url 'http://a.example' is plain http ",
        ),
        (
            ["team/app", ABSENT, "--endpoint-url", "ftp://a.example"],
            "",
            (
                "error: --endpoint-url must have the form https://HOST[:PORT], without a query: "
                "its scheme is read as 'ftp', and its "
            ),
        ),
        (
            ["team/app", ABSENT, "--endpoint-url", "localhost:4510"],
            "",
            "error: --endpoint-url 'localhost:4510' has no scheme: use 'http://localhost:4510'\n",
        ),
        (
            ["localhost:4510/team/app", ABSENT],
            "",
            (
                "error: 'localhost:4510/team/app' begins with a host and a port, but an ECR "
                "registry has no port: use 'team/app', and name a local registry with "
                "--endpoint-url\n"
            ),
        ),
        (
            ["team/app", ABSENT, "--region", ""],
            "",
            "error: --region '' is empty: pass a value, or leave out the option\n",
        ),
        (
            ["team/app", ABSENT],
            "AWS_DEFAULT_REGION",
            (
                "error: found no AWS Region (AWS_REGION is 'us-east-1', but botocore does not "
                "read it): pass --region, "
            ),
        ),
        (
            ["team/app", ABSENT, "--region", "eu-wst-1"],
            "AWS_ENDPOINT_URL_ECR",
            (
                "error: botocore does not know the AWS Region 'eu-wst-1' (did you mean "
                "'eu-west-1'?): check --region, AWS_DEFAULT_REGION and the profile's region; if "
                "the Region is new, update botocore, or pass --endpoint-url\n"
            ),
        ),
        (["team/app", ABSENT], "AWS_ACCESS_KEY_ID", "error: found no usable AWS credentials: "),
        (
            ["123456789012.dkr.ecr.eu-west-1.amazonaws.com/a1", ABSENT, "--region", "us-east-1"],
            "",
            (
                "error: --region 'us-east-1' is not the Region of "
                "'123456789012.dkr.ecr.eu-west-1.amazonaws.com/a1'"
            ),
        ),
    ],
    ids=[
        "unknown",
        "malformed",
        "tag",
        "timeout",
        "profile",
        "plain http",
        "no http",
        "no scheme",
        "host and port",
        "empty region",
        "no region",
        "unknown region",
        "no credentials",
        "other region",
    ],
)
def test_an_error_is_one_plain_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], without: str, said: str
) -> None:
    """An error is one line on standard error, and the exit code is 2."""
    monkeypatch.delenv(without, raising=False)
    ran = run("check", *arguments)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n"), ran.stderr[: len(said)]) == (
        2,
        "",
        1,
        said,
    )


def test_an_error_counts_the_digests_it_leaves_unanswered(run: Run) -> None:
    """An error ends with the number of digests that were read but not answered."""
    ran = run("check", "team/none", *HELD)
    assert ran.stderr.endswith(" (digests read and not answered: 3)\n")


@pytest.mark.parametrize(
    "arguments",
    [["--batch-size", "101"], ["--concurrency", "0"], ["--no-such-option"]],
    ids=["too large", "too small", "unknown"],
)
def test_a_wrong_option_is_refused(run: Run, arguments: list[str]) -> None:
    """An option that is unknown or outside its range ends with exit code 2."""
    assert run("check", "team/app", ABSENT, *arguments).returncode == 2
