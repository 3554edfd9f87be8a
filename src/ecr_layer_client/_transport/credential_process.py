"""A profile's `credential_process` that does not outlive those who wait for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiobotocore.credentials import AioProcessProvider

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

_PROCESS = AioProcessProvider.METHOD
_END_TIMEOUT_SECONDS = 1.0  # for a killed process to end


def end_process_when_cancelled(session: AioSession) -> None:
    """Let the session kill a credential process that it no longer waits for."""
    chain: Any = session.get_component("credential_provider")
    provider: Any = AioProcessProvider(
        profile_name=session.get_config_variable("profile") or "default",
        load_config=lambda: session.full_config,
        popen=_Process.start,
    )
    chain.insert_after(_PROCESS, provider)
    # This removes the first of the two, which is botocore's.
    chain.remove(_PROCESS)


class _Process:
    """An `asyncio.subprocess.Process`, with only what aiobotocore uses."""

    def __init__(self, program: str, process: asyncio.subprocess.Process) -> None:
        self._program = program
        self._process = process

    @classmethod
    async def start(cls, program: str, *arguments: str, **pipes: Any) -> _Process:
        process = await asyncio.create_subprocess_exec(program, *arguments, **pipes)
        return cls(program, process)

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        try:
            return await self._process.communicate()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError, TimeoutError):
                self._process.kill()
                async with asyncio.timeout(_END_TIMEOUT_SECONDS):
                    await self._process.wait()
            # Only the program, because its arguments may be secret.
            words = f"credential_process {self._program} was still running, and was ended"
            raise asyncio.CancelledError(words) from None
