"""`DisplayMixin`: a base for classes that show themselves in notebooks and terminals."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import ConsoleRenderable

    from ._description import Description


class DisplayMixin:
    """A base class for objects that notebooks show as HTML and rich prints as a panel.

    A class describes its objects in `_describe`. This package decides how the description looks.
    """

    __slots__ = ()

    @abstractmethod
    def _describe(self) -> Description:
        """Return the description: a title, a verdict, parts, facts and tables."""

    def _repr_html_(self) -> str:
        """Return the HTML that a notebook shows."""
        from ._html import html_of  # noqa: PLC0415 (only a notebook needs it)

        return html_of(self._describe())

    def __rich__(self) -> ConsoleRenderable:
        """Return the panel that rich prints. Only rich calls this, so rich is installed."""
        from ._terminal import renderable_of  # noqa: PLC0415 (only a terminal needs it)

        return renderable_of(self._describe())
