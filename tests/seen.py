"""The visible content of HTML: elements, texts and tables, as a parser reads them."""

from __future__ import annotations

from html.parser import HTMLParser

# The elements without an end tag.
VOID = {"br", "hr", "img", "input", "link", "meta"}


class Seen(HTMLParser):
    """The elements of some HTML with their attributes, its texts and its tables.

    Attributes:
        elements: Pairs of a name and attributes, in order.
        texts: The texts, in order.
        tables: Tables of rows of cells.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.tables: list[list[list[str]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()

        assert self._open == [], "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Record a text."""
        self.texts.append(data)
        if self._open[-1:] in (["td"], ["th"]):
            self.tables[-1][-1][-1] += data

    def names(self) -> set[str]:
        """Return the names of the elements."""
        return {name for name, _ in self.elements}

    def attributes(self) -> set[str]:
        """Return the names of the attributes."""
        return {attribute for _, attributes in self.elements for attribute in attributes}

    def valued(self, attribute: str) -> list[str]:
        """Return the values of an attribute, in order."""
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]
