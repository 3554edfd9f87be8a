"""Errors of real connections show no secret in the variables that their tracebacks capture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from client.steps import captured_variables, client_of, on_loopback
from ecr_layer_client import CallError, RetryPolicy

if TYPE_CHECKING:
    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

KEY = "AKIACANARYCANARY1234"
SECRET = "canary-of-a-secret/which+signs"  # noqa: S105 (a canary)
TOKEN = "a-token-CANARY//TOKEN+0123456789=="  # noqa: S105 (a canary)


@pytest.mark.parametrize("transport", ["client", "signed"])
@pytest.mark.parametrize(
    "fault",
    [{"reset": True}, {"cut_at": 20}, {"drip": 20}, {"status": 503}, {"body": b"<html>"}],
    ids=["reset", "truncated", "slow", "refused", "html"],
)
def test_captured_variables(fault: dict[str, Any], transport: TransportName) -> None:
    """No frame of an error, nor of the errors behind it, has a signed header or a key."""

    async def check(ecr: LocalECR) -> str:
        ecr.add_key(KEY, SECRET, TOKEN)
        session: Any = ecr.session()
        session.set_credentials(KEY, SECRET, TOKEN)
        options: dict[str, Any] = {"transport": transport, "attempt_timeout": 0.2}
        retry = RetryPolicy(max_attempts=2, initial_backoff=0.001)
        async with client_of(ecr, session, retry=retry, **options) as client:
            await client.check_layers("app", ["sha256:aa"])
            ecr.faults.add(**fault)
            with pytest.raises(CallError) as raised:
                await client.check_layers("app", ["sha256:aa"])
        return captured_variables(raised.value)

    shown = on_loopback(check)
    words = (KEY, SECRET, TOKEN, "AWS4-HMAC-SHA256", "uthorization")
    assert [word for word in words if word in shown] == []
