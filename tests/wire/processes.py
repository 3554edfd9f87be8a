"""The programs beside these tests, run in processes of their own against a local ECR."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import TYPE_CHECKING

import ecr_layer_client

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAMS = Path(__file__).parent / "programs"
SOURCE = str(Path(ecr_layer_client.__file__).parents[1])


async def started(
    program: str, *arguments: object, env: Mapping[str, str] | None = None
) -> Process:
    """Start one of the programs, with this interpreter and this package."""
    path = os.pathsep.join(filter(None, (SOURCE, os.environ.get("PYTHONPATH"))))
    variables = {**os.environ, "PYTHONPATH": path, **(env or {})}
    command = (sys.executable, str(PROGRAMS / program), *map(str, arguments))
    return await asyncio.create_subprocess_exec(*command, env=variables, stdin=PIPE, stdout=PIPE)


async def ran(program: str, *arguments: object, env: Mapping[str, str] | None = None) -> str:
    """Run one of the programs to its end, and return what it printed."""
    process = await started(program, *arguments, env=env)
    try:
        said, _ = await process.communicate()
    finally:
        await ended(process)
    assert process.returncode == 0
    return said.decode()


async def ended(process: Process) -> None:
    """See that a process has ended, whatever happened to the test."""
    if process.returncode is None:
        process.kill()
    await process.communicate()  # its pipes are closed, too
