"""A Redis server that lives as long as a block. For the tests, too."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def redis_server() -> Generator[str]:
    """Run a Redis server on the loopback address, and give its URL.

    Raises:
        FileNotFoundError: The program is not installed.
    """
    program = shutil.which("redis-server")
    if program is None:
        msg = "redis-server was not found: install it, for example with apt-get install"
        raise FileNotFoundError(msg)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with TemporaryDirectory() as folder:
        command = [program, *options, "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
            assert server.stdout is not None  # noqa: S101 (it is a pipe)
            next(line for line in server.stdout if "Ready to accept connections" in line)
            yield f"redis://127.0.0.1:{port}/0"
            server.terminate()
            server.stdout.read()
