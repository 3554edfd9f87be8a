"""A profile's `credential_process`: its keys are used, and it does not outlive its caller."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client import CredentialsError
from ecr_layer_client._transport import session
from wire.servers import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell"),
]

KEYS = {"Version": 1, "AccessKeyId": "of-process", "SecretAccessKey": "secret"}
HANGS = "exec sleep 600"


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that lets the default profile run a script, and returns the script.

    The script writes its process id into the file `started` beside it.
    """
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)

    def write(script: str) -> Path:
        vault = tmp_path / "vault"
        vault.write_text(f"#!/bin/sh\necho $$ > {tmp_path / 'started'}\n{script}\n")
        vault.chmod(0o700)
        (tmp_path / "config").write_text(f"[default]\ncredential_process = {vault} --token=x\n")
        return vault

    return write


def process_id(script: Path) -> int:
    """Return the process id of a script, or 0 if it has not started."""
    started = script.with_name("started")
    return int(started.read_text() or 0) if started.exists() else 0


async def test_keys_of_a_process(use: Callable[[str], Path]) -> None:
    """The keys that a process prints are used."""
    use(f"echo '{json.dumps(KEYS)}'")
    keys = await session._credentials(None, None).get_frozen_credentials()
    assert keys.access_key == "of-process"


async def test_a_process_ends_with_its_caller(use: Callable[[str], Path]) -> None:
    """A process that nobody waits for any more is ended."""
    script = use(HANGS)
    finding = asyncio.create_task(session._credentials(None, None).ready())
    await until(lambda: bool(process_id(script)))
    finding.cancel()
    await asyncio.wait([finding])

    assert finding.cancelled()
    with pytest.raises(ProcessLookupError):
        os.kill(process_id(script), 0)


async def test_a_process_that_hangs(
    use: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that takes too long is ended; the error names its program, not its arguments."""
    monkeypatch.setattr(session, "FETCH_TIMEOUT_SECONDS", 2.0)
    script = use(HANGS)
    with pytest.raises(CredentialsError) as raised:
        await session._credentials(None, None).ready()
    with pytest.raises(ProcessLookupError):
        os.kill(process_id(script), 0)

    words = f"no response within 60 s: credential_process {script} was still running, and was ended"
    assert str(raised.value).endswith(f"; botocore says {words!r}")
