"""The Regions that botocore knows, and the variable `AWS_REGION`, which botocore does not read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

if TYPE_CHECKING:
    from .options import ConnectionOptions

# botocore's data has pseudo Regions, such as `aws-global`, for services without Regions.
_NO_REGION = "-global"


def known_regions(loader: Any) -> set[str]:
    """Return the Regions of all partitions in the data of one of botocore's loaders.

    A loader reads its files only once.
    """
    return {
        region
        for partition in loader.load_data("partitions")["partitions"]
        for region in partition["regions"]
        if not region.endswith(_NO_REGION)
    }


def unknown_region(region: str, known: set[str], note: str = "") -> InvalidInputError:
    """Return the error for a Region that botocore does not know."""
    from difflib import get_close_matches  # noqa: PLC0415 (only for this message)

    alike = get_close_matches(region, known, n=1)
    question = f" (did you mean {quoted(alike[0])}?)" if alike else ""
    msg = (
        f"botocore does not know the AWS Region {quoted(region)}{question}{note}: check "
        "region_name, AWS_DEFAULT_REGION and the profile's region; if the Region is new, update "
        "botocore, or pass endpoint_url"
    )
    return InvalidInputError(msg)


def unread_region(options: ConnectionOptions, region: str | None) -> str:
    """Return a note about `AWS_REGION` if it is set and has no effect, else an empty text.

    There is no note where the caller names the Region, because then no variable has an effect.
    """
    is_given = options.region_name is not None or options.client is not None
    return "" if is_given else note_on_aws_region(region)


def note_on_aws_region(region: str | None) -> str:
    """Return a note about `AWS_REGION` if it names another Region than the one in use."""
    other = os.environ.get("AWS_REGION")
    if not other or other == region:
        return ""
    return f" (AWS_REGION is {quoted(other)}, but botocore does not read it)"
