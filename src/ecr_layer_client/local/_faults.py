"""Faults: scripts that the registry plays, the same ones over HTTP and in memory.

Randomness is seeded, time is the running loop's.
"""

from __future__ import annotations

import asyncio
import threading
from random import Random
from typing import TYPE_CHECKING, Final, Unpack

from ._fault_effects import answer_of, played
from ._fault_options import script_of

if TYPE_CHECKING:
    from ._fault_options import FaultOptions, Script
    from ._interceptors import Call
    from ._protocol import Reply


class Fault:
    """A fault that was added: how often it was played, and the way to take it back.

    Attributes:
        script: what it does, and to which requests.
        seen: how many requests it was meant for so far, those that it skipped or that chance spared
            included.
        played: how many of them it hit.
    """

    def __init__(self, faults: Faults, script: Script) -> None:
        """Belong to `faults`; `Faults.add` makes these."""
        self.script: Final = script
        self.seen = 0
        self.played = 0
        self._faults = faults

    def remove(self) -> None:
        """Hit no further request; `played` stays. Twice is fine."""
        self._faults.discard(self)

    def __repr__(self) -> str:
        """Say what it does and how often it did."""
        options = ", ".join(
            f"{name}={value!r:.60}"
            for name, value in self.script.model_dump(exclude_unset=True).items()
        )
        return f"<Fault {options}; played {self.played}>"


class Faults:
    """The faults of a `LocalECR`, in the order in which they were added.

    Every fault that matches a request plays, so latencies add up; one that answers in the
    registry's place or hangs up is the last to play for that request, so
    `add(error="ThrottlingException", times=2)` and `add(error="ServerException", times=1)` refuse
    three requests, in this order.

    >>> import asyncio
    >>> from ecr_layer_client.local import LocalECR
    >>> async def main() -> tuple[int, int]:
    ...     async with LocalECR() as ecr, ecr.client() as client:
    ...         digest = ecr.put_layer("app", b"a layer")
    ...         fault = ecr.faults.add(error="ThrottlingException", times=2)
    ...         result = await client.check_layers("app", [digest])
    ...         return fault.played, len(result.available)
    >>> asyncio.run(main())
    (2, 1)
    """

    def __init__(self, seed: int | str = 0) -> None:
        """Play nothing yet; the same `seed` draws the same latencies, probabilities and rows."""
        self._random = Random(seed)  # noqa: S311  (faults are drawn, not secrets)
        self._faults: list[Fault] = []
        self._lock = (
            threading.RLock()
        )  # a test may add and remove from another thread than the server's

    def add(self, **options: Unpack[FaultOptions]) -> Fault:
        """Add a fault that hits requests from now on, and return it.

        Args:
            options: Which requests: `operation` (a name, `"GetLayer"` for downloads; default any),
                `after` (skip so many first; default 0), `times` (hit so many; default all that
                come), `probability` (0 to 1, of hitting each; default 1).

                What is done to them, one thing or several that make sense together:

                - `latency`: seconds to wait first; `(low, high)` is drawn anew for each request.
                - `error`: an AWS error code such as `"ThrottlingException"`, with AWS's HTTP status
                  and wording; `message` and
                  `status` say otherwise.
                - `status` alone: a load balancer's answer with this status and an HTML body.
                - `body`: these bytes as the whole body, with status 200 or `status`.
                - `redirect_to`: a redirect (307, or `status`) to this URL.
                - `reset`: the connection is reset before any answer, and the operation does not
                  run.
                - `cut_at`: the body ends after so many bytes, although Content-Length says more,
                  and the connection closes; with
                  `reset` it is reset there. The operation has run. A body that is no longer stays
                  whole.
                - `drip`: the body comes at so many bytes a second.
                - `shuffle`, `drop_rows=n`, `double_rows=n`: the lists of an answer come in another
                  order, with n rows fewer, or
                  with n rows twice.

                In `ecr.stats` the request counts under its gravest fault: the error code, the
                status, or the option's name; what the registry refuses anyway keeps its code.

        Raises:
            ValueError: an option is unknown, breaks its rule, or makes no sense beside another.
        """
        fault = Fault(self, script_of(dict(options)))
        with self._lock:
            self._faults = [*self._faults, fault]
        return fault

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults = []

    def seed(self, seed: int | str) -> None:
        """Draw from here on what this seed draws."""
        self._random.seed(seed)

    def discard(self, fault: Fault) -> None:
        """Remove one fault; `fault.remove()` reads better. One that is not here is fine."""
        with self._lock:
            self._faults = [each for each in self._faults if each is not fault]

    def __len__(self) -> int:
        """How many faults can still hit a request."""
        return len(self._faults)

    def __repr__(self) -> str:
        """List the faults that can still hit a request."""
        return f"<Faults {self._faults!r}>"

    async def before(self, call: Call) -> Reply | None:
        """Play what comes before the registry's answer. The registry calls this."""
        if not self._faults:
            return None
        with self._lock:
            scripts = self._choose(call.operation)
        call.scripts.extend(scripts)
        if latency := sum(map(self._latency, scripts)):
            await asyncio.sleep(latency)
        if not scripts:
            return None
        if scripts[-1].hangs_up:
            raise ConnectionResetError
        reply = answer_of(scripts[-1], call)
        return reply and played(reply, scripts, self._random)

    async def after(self, call: Call, reply: Reply) -> Reply:
        """Play what changes the registry's answer. The registry calls this."""
        return played(reply, call.scripts, self._random) if call.scripts else reply

    def _choose(self, operation: str) -> list[Script]:
        chosen: list[Script] = []
        for fault in [
            each for each in self._faults if self._hits(each, operation)
        ]:  # each sees the request, even behind an answer
            fault.played += 1
            if fault.played == fault.script.times:
                fault.remove()
            chosen.append(fault.script)
            if fault.script.answers or fault.script.hangs_up:
                break
        return chosen

    def _hits(self, fault: Fault, operation: str) -> bool:
        script = fault.script
        if script.operation not in {None, operation}:
            return False
        fault.seen += 1
        return fault.seen > script.after and (
            script.probability == 1 or self._random.random() < script.probability
        )

    def _latency(self, script: Script) -> float:
        if isinstance(script.latency, tuple):
            return self._random.uniform(*script.latency)
        return script.latency or 0.0
