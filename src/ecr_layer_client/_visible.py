"""`Visible`: what shows itself in notebooks and in rich's consoles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import ConsoleRenderable


class Visible:
    """A base for what people look at; `display` describes each class, and renders it when it is looked at."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from ecr_layer_client.display import described, html_of  # noqa: PLC0415 (a face, imported where it is used)

        return html_of(described(self))

    def __rich__(self) -> ConsoleRenderable:
        """Return what rich prints; rich alone calls this, so it is there."""
        from ecr_layer_client.display import described, renderable_of  # noqa: PLC0415 (as above)

        return renderable_of(described(self))
