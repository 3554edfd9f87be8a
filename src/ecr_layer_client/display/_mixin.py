"""`DisplayMixin`: a base for classes that show themselves in notebooks and terminals."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import ConsoleRenderable

    from ._description import Description


class DisplayMixin:
    """Show an object as HTML in notebooks, and as a panel where rich prints it.

    A class says what there is to see of it, in `_describe`; how that looks is decided here.
    """

    __slots__ = ()

    @abstractmethod
    def _describe(self) -> Description:
        """Return what there is to see: a title, a verdict, parts, facts and tables."""

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from ._html import html_of  # noqa: PLC0415 (only a notebook needs it)

        return html_of(self._describe())

    def __rich__(self) -> ConsoleRenderable:
        """Return what rich prints. Only rich calls this, so rich is installed."""
        from ._terminal import renderable_of  # noqa: PLC0415 (only a terminal needs it)

        return renderable_of(self._describe())
