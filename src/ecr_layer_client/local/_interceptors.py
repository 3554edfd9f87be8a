"""`Call` and `Interceptor`: what stands between a request and the registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from . import _protocol as protocol
from ._protocol import GET_LAYER

if TYPE_CHECKING:
    from ._fault_options import Script
    from ._protocol import Reply, Request
    from ._registry.errors import AwsError


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose operation is known.

    `at` is the running loop's time on arrival, so all works in virtual time too; `scripts` are the
    faults that hit it.
    """

    operation: str
    request: Request
    at: float
    scripts: list[Script] = field(default_factory=list["Script"])

    def refused(self, error: AwsError) -> Reply:
        """Return the answer that carries an error, in the form that this operation's clients read."""
        return (
            protocol.refused_as_xml(error)
            if self.operation == GET_LAYER
            else protocol.refused(error)
        )


class Interceptor(Protocol):
    """Something that stands between a face and the registry.

    They lie around the registry like shells: whatever answers, the registry or an inner
    interceptor, the reply passes the `after` of those that let the call pass.
    """

    async def before(self, call: Call) -> Reply | None:
        """Let the call pass (None), answer in the registry's place, or raise AwsError or ConnectionResetError."""
        ...

    async def after(self, call: Call, reply: Reply) -> Reply:
        """Return the reply to send: the one given, or a changed copy."""
        ...
