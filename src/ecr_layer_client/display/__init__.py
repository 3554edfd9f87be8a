"""What people see: results, plans, reports and streams in notebooks and terminals, and a progress bar while they wait.

Each object is described once (`described`), in words, counts and bytes; HTML and rich render that description.
"""

from ._bar import progress_bar
from ._described import described
from ._html import html_of
from ._terminal import renderable_of

__all__ = ["described", "html_of", "progress_bar", "renderable_of"]
