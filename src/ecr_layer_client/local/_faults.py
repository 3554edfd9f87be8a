"""Faults: scripted failures, the same ones over HTTP and in memory.

Randomness comes from a seed. Time is the time of the running loop.
"""

from __future__ import annotations

import asyncio
import threading
from random import Random
from typing import TYPE_CHECKING, Final, Unpack

from ._fault_effects import changed, reply_of
from ._fault_options import script_of

if TYPE_CHECKING:
    from ._fault_options import FaultOptions, Script
    from ._interceptors import Call
    from ._protocol import Reply


class Fault:
    """A fault that was added. It counts the requests that it affected, and can be removed.

    Attributes:
        script: the options of the fault.
        seen: how many requests of its `operation` arrived so far. Requests that `after` skipped or
            that `probability` spared are included.
        played: how many of these requests the fault affected.
    """

    def __init__(self, faults: Faults, script: Script) -> None:
        """Belong to `faults`. `Faults.add` creates these objects."""
        self.script: Final = script
        self.seen = 0
        self.played = 0
        self._faults = faults

    def remove(self) -> None:
        """Affect no further request. `played` keeps its value. Safe to call twice."""
        self._faults.discard(self)

    def __repr__(self) -> str:
        """Return the options that were given, and the number of affected requests."""
        options = ", ".join(
            f"{name}={value!r:.60}"
            for name, value in self.script.model_dump(exclude_unset=True).items()
        )
        return f"<Fault {options}; played {self.played}>"


class Faults:
    """The faults of a `LocalECR`, in the order in which they were added.

    Every fault that matches a request affects it, so that latencies add up. A fault that responds
    in place of the registry, or resets the connection, is the last one for that request. So
    `add(error="ThrottlingException", times=2)` and `add(error="ServerException", times=1)` reject
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
        """Start without faults. The same `seed` selects the same latencies, requests and rows."""
        self._random = Random(seed)  # noqa: S311  (faults are drawn, not secrets)
        self._faults: list[Fault] = []
        # A test may add and remove faults from another thread than the server's.
        self._lock = threading.RLock()

    def add(self, **options: Unpack[FaultOptions]) -> Fault:
        """Add a fault that affects requests from now on, and return it.

        Args:
            options: Which requests the fault affects:

                - `operation`: the name of an operation, or `"GetLayer"` for downloads. Requests to
                  `/v2/` are those of the operation of ECR that they are for. Default: any.
                - `after`: skip this many requests first. Default 0.
                - `times`: affect this many requests. Default: all.
                - `probability`: the probability of affecting each request, above 0 and at most 1.
                  Default 1.

                What happens to these requests, one thing or several that make sense together:

                - `latency`: seconds to wait first. For `(low, high)`, each request waits for a
                  random time in this range.
                - `error`: an error code of ECR or AWS, such as `"ThrottlingException"`, with its
                  HTTP status and wording. `message` and `status` override them. Any other code
                  needs `status`.
                - `status` alone: the response of a load balancer, with this status and an HTML
                  body.
                - `body`: these bytes as the complete body, with status 200 or `status`.
                - `redirect_to`: a redirect to this URL, with status 307 or `status`.
                - `reset`: the connection is reset before any response, and the operation does not
                  run.
                - `cut_at`: the body ends after this many bytes, although Content-Length says more,
                  and the connection closes. With `reset`, the connection is reset there. The
                  operation has run. A body that is not longer stays complete.
                - `drip`: the body arrives at this many bytes per second.
                - `shuffle`, `drop_rows=n`, `double_rows=n`: the lists of a response arrive in
                  another order, without n of the rows, or with n rows twice.
                - `accept_bytes`: only this many bytes of a part (`operation="UploadLayerPart"`) are
                  accepted. `lastByteReceived` in the response reports it.
                - `lose_layer`: before an image is put (`operation="PutImage"`), its repository
                  loses the layer with this digest, as if somebody deleted it after the last check
                  of a push.

                `ecr.stats` counts the request under its most severe fault: the error code, the
                status, or the name of the option. A request that the registry rejects anyway keeps
                the registry's error code.

        Raises:
            ValueError: an option is unknown, breaks its rule, or contradicts another option.
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
        """Set the seed of the random numbers again."""
        self._random.seed(seed)

    def discard(self, fault: Fault) -> None:
        """Remove one fault, as `fault.remove()` does. Does nothing if it was removed before."""
        with self._lock:
            self._faults = [each for each in self._faults if each is not fault]

    def __len__(self) -> int:
        """Return how many faults can still affect a request."""
        return len(self._faults)

    def __repr__(self) -> str:
        """Return a list of the faults that can still affect a request."""
        return f"<Faults {self._faults!r}>"

    async def before(self, call: Call) -> Reply | None:
        """Apply what comes before the registry's response. The service calls this method."""
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
        reply = reply_of(scripts[-1], call)
        return reply and changed(reply, scripts, self._random)

    async def after(self, call: Call, reply: Reply) -> Reply:
        """Apply what changes the registry's response. The service calls this method."""
        return changed(reply, call.scripts, self._random) if call.scripts else reply

    def _choose(self, operation: str) -> list[Script]:
        chosen: list[Script] = []
        # Every fault counts the request first, also when an earlier fault responds to it.
        for fault in [each for each in self._faults if self._hits(each, operation)]:
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
