"""Results, plans, reports and streams in notebooks and terminals, and a progress bar.

An object describes itself once, in words, counts and bytes (`Description`). HTML and rich render
that description. This package does not know the classes of the objects.
"""

from ._cells import Bytes
from ._description import MOST_ROWS, Description, Part, Table, Tone, first_rows
from ._mixin import DisplayMixin

__all__ = [
    "MOST_ROWS",
    "Bytes",
    "Description",
    "DisplayMixin",
    "Part",
    "Table",
    "Tone",
    "first_rows",
]
