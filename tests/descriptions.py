"""The description of an object, which every renderer uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecr_layer_client.display import Description, DisplayMixin


def described(shown: DisplayMixin) -> Description:
    """Return the description of an object that shows itself."""
    return shown._describe()
