"""What a reader sees of HTML: its elements, texts and tables, read by the standard library's own parser."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"br", "hr", "img", "input", "link", "meta"}  # elements without an end


class Seen(HTMLParser):
    """The elements of some HTML, each with its attributes; its texts.

    Its tables, each a list of rows.

    Attributes:
        elements: Pairs of name and attributes, in order.
        texts: Texts, in order.
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
        """Note an element."""
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
        """Note a text."""
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
        """Return an attribute's values, in order."""
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]
