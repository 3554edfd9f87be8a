"""Push, pull and copy: results, progress, and the protocols to annotate with."""

from ecr_layer_client._models.transfers import TransferProgress, TransferState, UnfinishedLayer

from ._journal import Journal
from ._protocols import ImagePuller, ImagePusher
from ._result import TransferredImage, TransferResult

__all__ = [
    "ImagePuller",
    "ImagePusher",
    "Journal",
    "TransferProgress",
    "TransferResult",
    "TransferState",
    "TransferredImage",
    "UnfinishedLayer",
]
