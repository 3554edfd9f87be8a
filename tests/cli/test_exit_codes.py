"""How commands end, and how they read and write pipes."""

from __future__ import annotations

import asyncio
import io
import os
import sys

import pytest
import typer

from ecr_layer_client import (
    AccessDeniedError,
    CredentialsError,
    ECRLayerError,
    InvalidInputError,
    OperationTimeoutError,
    TransportError,
)
from ecr_layer_client.cli.exit_codes import run
from ecr_layer_client.cli.stdio import Output, StandardInput

HELD = "sha256:" + "a" * 64


async def lines_of(given: StandardInput) -> list[str]:
    """Return all lines of standard input."""
    lines: list[str] = []
    while not given.has_ended:
        lines += [line async for line in given.part()]
    return lines


async def ends_with(end: int | BaseException) -> int:
    """Run a command that returns a code or raises an error."""
    if isinstance(end, BaseException):
        raise end
    return end


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (0, 0, ""),
        (1, 1, ""),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 141, ""),
        (OSError("disk full"), 2, "error: disk full\n"),
        (
            FileNotFoundError(2, "No such file or directory", "a"),
            2,
            "error: a: No such file or directory\n",
        ),
        (ECRLayerError("two\nlines"), 2, "error: two lines\n"),
        (
            InvalidInputError("pass region_name=, or xregion_name=1"),
            2,
            "error: pass --region, or xregion_name=1\n",
        ),
        (InvalidInputError("profile_name='': a str"), 2, "error: --profile '': a str\n"),
        (AccessDeniedError("allow it"), 2, "error: allow it\n"),
        (CredentialsError("none: profile_name="), 2, "error: none: --profile\n"),
        (
            TransportError("no answer: check endpoint_url"),
            2,
            "error: no answer: check --endpoint-url\n",
        ),
        (
            OperationTimeoutError(
                "not done within timeout=5.0 s: allow more time"
                "; .partial has the outcomes that were received"
            ),
            2,
            "error: not done within --timeout 5 s: allow more time\n",
        ),
    ],
    ids=[
        "0",
        "1",
        "Ctrl-C",
        "closed pipe",
        "OSError",
        "no file",
        "lines",
        "input",
        "value",
        "denied",
        "credentials",
        "transport",
        "timeout",
    ],
)
def test_an_end_is_a_code_and_at_most_one_line(
    capsys: pytest.CaptureFixture[str], end: int | BaseException, code: int, said: str
) -> None:
    """Each way to end has its exit code, and each error one line with the options' names."""
    with pytest.raises(typer.Exit) as raised:
        run(ends_with(end))
    assert (raised.value.exit_code, capsys.readouterr().err) == (code, said)


@pytest.mark.parametrize(
    ("variable", "is_shown"), [("", False), ("1", True)], ids=["line", "traceback"]
)
def test_a_bug_is_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    variable: str,
    is_shown: bool,
) -> None:
    """An unexpected exception is one line, which says how to see the traceback."""
    monkeypatch.setenv("ECR_LAYERS_TRACEBACK", variable)
    with pytest.raises(typer.Exit) as raised:
        run(ends_with(KeyError("x")))
    said = capsys.readouterr().err
    line = (
        "error: KeyError: 'x': this is a bug in ecr-layers; please report it with the traceback "
        "that ECR_LAYERS_TRACEBACK=1 shows"
    )
    assert (raised.value.exit_code, said.splitlines()[-1], "Traceback" in said) == (
        2,
        line,
        is_shown,
    )


@pytest.mark.asyncio
async def test_a_slow_reader_does_not_stop_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a pipe holds is written in order, before anything reads it."""
    lines = [f"{number:099d}" for number in range(15_000)]
    reading, writing = os.pipe()
    output = Output()

    async def write_all() -> None:
        for line in lines:
            await output.write(line)
        await output.drain()
        os.close(writing)

    with (
        open(reading, encoding="ascii") as reader,
        open(writing, "w", encoding="ascii", closefd=False) as writer,
    ):
        monkeypatch.setattr(sys, "stdout", writer)
        writer_task = asyncio.create_task(write_all())
        read = await asyncio.to_thread(reader.read)
        await writer_task
    assert read.splitlines() == lines


@pytest.mark.asyncio
async def test_a_write_that_fails_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line written after the reader has gone raises the system's error."""
    reading, writing = os.pipe()
    os.close(reading)
    output = Output()
    with open(writing, "w", encoding="ascii") as writer:
        monkeypatch.setattr(sys, "stdout", writer)
        await output.write("a")
        with pytest.raises(BrokenPipeError):
            await output.drain()
        with pytest.raises(BrokenPipeError):
            await output.write("b")


@pytest.mark.asyncio
async def test_no_standard_output_is_a_closed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without standard output ends like one whose reader has gone."""
    monkeypatch.setattr(sys, "stdout", None)
    output = Output()
    await output.write("a")
    with pytest.raises(BrokenPipeError):
        await output.drain()


@pytest.mark.asyncio
async def test_pipes_that_do_not_block_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipes that another process set to non-blocking lose nothing."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    lines = [f"{number:099d}" for number in range(5_000)]
    output = Output()

    async def write_all() -> None:
        for line in lines:
            await output.write(line)
        await output.drain()
        os.close(writing)

    with (
        open(reading, encoding="ascii") as reader,
        open(writing, "w", encoding="ascii", closefd=False) as writer,
    ):
        monkeypatch.setattr(sys, "stdin", reader)
        monkeypatch.setattr(sys, "stdout", writer)
        writer_task = asyncio.create_task(write_all())
        read = await lines_of(StandardInput())
        await writer_task
    assert read == lines


@pytest.mark.parametrize("stdin", [None, io.TextIOWrapper(io.BytesIO())], ids=["none", "empty"])
@pytest.mark.asyncio
async def test_no_standard_input_has_no_lines(
    monkeypatch: pytest.MonkeyPatch, stdin: io.TextIOWrapper | None
) -> None:
    """A process without standard input reads no lines."""
    monkeypatch.setattr(sys, "stdin", stdin)
    assert await lines_of(StandardInput()) == []
