"""Functions that run the programs of this folder in other processes, against a local ECR."""

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
    """Start a program with this interpreter and this package."""
    path = os.pathsep.join(filter(None, (SOURCE, os.environ.get("PYTHONPATH"))))
    variables = {**os.environ, "PYTHONPATH": path, **(env or {})}
    command = (sys.executable, str(PROGRAMS / program), *map(str, arguments))
    return await asyncio.create_subprocess_exec(*command, env=variables, stdin=PIPE, stdout=PIPE)


async def ran(program: str, *arguments: object, env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return its output."""
    process = await started(program, *arguments, env=env)
    try:
        output, _ = await process.communicate()
    finally:
        await ended(process)

    assert process.returncode == 0
    return output.decode()


async def ended(process: Process) -> None:
    """Kill a process that still runs, and close its pipes."""
    if process.returncode is None:
        process.kill()
    # This closes the pipes.
    await process.communicate()
