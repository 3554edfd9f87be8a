"""New processes: the stub runs on one core, and one trial at a time on another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contenders import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Generator

_HERE = Path(__file__).parent
_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _environment() -> dict[str, str]:
    """Return this process's environment with the contenders' AWS settings and without proxies.

    Python may write bytecode. The library under test runs from its source, and it would be compiled
    for each trial, where the others were compiled when they were installed.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith("AWS_") or name.lower().endswith("_proxy"))
        and name != "PYTHONDONTWRITEBYTECODE"
    }
    return (
        kept
        | ENVIRONMENT
        | {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    )


def _started(*arguments: str, core: int) -> subprocess.Popen[str]:
    command = (sys.executable, *arguments)
    process = subprocess.Popen(  # noqa: S603
        command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if len(_CORES) > 1:
        os.sched_setaffinity(process.pid, {_CORES[core]})
    return process


@contextmanager
def stub_ecr(*options: str) -> Generator[str]:
    """Run the stub with options of its command line, and give its URL."""
    with _started(str(_HERE / "stub_ecr.py"), *options, core=1) as process:
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        yield process.stdout.readline().strip()
        # Leaving the block closes standard input, and the stub ends.


def trial(kind: str, **parameters: Any) -> dict[str, Any]:
    """Run a trial in a new process and return the outcome that it printed.

    The outcome of a trial of the kind `first` also has `elapsed`: the seconds between the start of
    the process and its first response.

    Raises:
        RuntimeError: The trial failed. Its message is on standard error.
    """
    began = time.time()
    with _started(str(_HERE / "trial.py"), kind, json.dumps(parameters), core=0) as process:
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        printed = process.stdout.readline()

    if process.returncode or not printed:
        msg = f"the trial {kind} {parameters} failed; its message is on standard error"
        raise RuntimeError(msg)

    outcome: dict[str, Any] = json.loads(printed)
    return outcome | {"elapsed": outcome["at"] - began} if "at" in outcome else outcome


def import_seconds(statement: str) -> float:
    """Return the seconds that an import statement takes in a new interpreter."""
    program = (
        f"import time\nbegan = time.perf_counter()\n{statement}\nprint(time.perf_counter() - began)"
    )
    with _started("-c", program, core=0) as process:
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        return float(process.stdout.readline())
