"""Runs of the programs in `examples/`: their processes, and what they wrote. For the tests, too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import pyarrow.parquet as pq

import ecr_layer_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

EXAMPLES = Path(__file__).parents[1] / "examples"
# The environment that `make test-full` makes beside that of the tests.
PYTHON = Path(sys.prefix) / "engines/bin/python"
_HERE = {
    "PYTHONPATH": str(Path(ecr_layer_client.__file__).parents[1]),
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # it listens on the loopback address alone
    "RAY_USAGE_STATS_ENABLED": "0",
    "SPT_NOENV": "1",  # Ray's titles of processes leave their environment readable
    "SPARK_LOCAL_IP": "127.0.0.1",
    "PYSPARK_PYTHON": str(PYTHON),
    "PYSPARK_SUBMIT_ARGS": "--master local[2,4] --conf spark.ui.enabled=false pyspark-shell",
}
_ESTABLISHED = "01"  # the state of a connection in /proc/net/tcp
_parquet: Any = pq


@dataclass
class Run:
    """A program in `examples/` that runs, with all processes that it started.

    Args:
        environment: The variables by which it reaches its ECR.
        command: The program, in `examples/` or with its path, and its arguments.
        folder: Where it runs.
    """

    environment: Mapping[str, str]
    command: tuple[str, ...]
    folder: Path

    def __enter__(self) -> Self:
        """Start the program."""
        self._home = TemporaryDirectory(ignore_cleanup_errors=True)
        # All processes of the run inherit this variable.
        name, value = "ESTATE_RUN", uuid4().hex
        self._mark = f"{name}={value}".encode()
        homes = {"HOME": self._home.name, "RAY_TMPDIR": self._home.name}
        own = _HERE | homes | dict(self.environment) | {name: value}
        program, *arguments = self.command
        self._log = self.folder / f"{value}.log"
        with self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [PYTHON, EXAMPLES / program, *arguments],
                cwd=self.folder,
                env=os.environ | own,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Kill the processes that are left."""
        for process in self._processes():
            os.kill(process, signal.SIGKILL)
        self._process.wait()
        self._home.cleanup()

    @property
    def log(self) -> str:
        """The text that the processes have written."""
        return self._log.read_text(encoding="utf-8")

    def wait_until(self, reached: Callable[[], object]) -> None:
        """Wait for something that the program does."""
        while not reached():
            if self._process.poll() is not None:
                raise RuntimeError(self.log[-3000:])
            time.sleep(0.01)

    def finish(self) -> None:
        """Wait for the end of the program, which must succeed."""
        if self.wait():
            raise RuntimeError(self.log[-3000:])

    def wait(self) -> int:
        """Wait for the end of the program, and return its exit code."""
        return self._process.wait()

    def cpu(self) -> float:
        """Wait for the end of the program, and return the CPU seconds of all its processes."""
        ticks: dict[int, int] = {}
        while self._process.poll() is None:
            for process in self._processes():
                with suppress(OSError):
                    stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
                    # utime and stime, after the name of the program, which may have spaces.
                    ticks[process] = sum(map(int, stat.rpartition(")")[2].split()[11:13]))
            time.sleep(0.05)
        self.finish()
        return sum(ticks.values()) / os.sysconf("SC_CLK_TCK")

    def kill_driver(self) -> None:
        """Kill the program, and wait until the other processes have ended by themselves."""
        self._process.kill()
        self._process.wait()
        while [*self._processes()]:
            time.sleep(0.05)

    def kill_worker(self) -> None:
        """Kill a process that sends requests to the local ECR."""
        sockets = _sockets_to(int(self.environment["AWS_ENDPOINT_URL_ECR"].rpartition(":")[2]))
        others = (each for each in self._processes() if each != self._process.pid)
        os.kill(next(each for each in others if sockets & _sockets_of(each)), signal.SIGKILL)

    def _processes(self) -> Iterator[int]:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                is_ours = self._mark in (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                # It has ended.
                continue
            if is_ours:
                yield int(folder.name)


def _sockets_to(port: int) -> set[str]:
    """Return the sockets of this machine that are connected to a port."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return {
        f"socket:[{words[9]}]"
        for words in map(str.split, lines)
        if words[2].endswith(f":{port:04X}") and words[3] == _ESTABLISHED
    }


def _sockets_of(process: int) -> set[str]:
    found = set[str]()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            found.add(str(descriptor.readlink()))
        except FileNotFoundError:
            # It was closed.
            continue
    return found


def write(rows: pa.Table, file: Path) -> None:
    """Write a Parquet file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    _parquet.write_table(rows, file)


def written(folder: Path) -> list[pa.Table]:
    """Return the tables in the files of a run."""
    files = [file for file in folder.rglob("*.parquet") if not file.name.startswith((".", "_"))]
    return [_parquet.ParquetFile(file).read() for file in files]
