"""One layer upload, from initiate to complete: the bytes so far, and ECR's rules for them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .blob_store import pieces_of
from .errors import AwsError, invalid_parameter
from .limits import DEFAULT_LIMITS, MIN_PART_SIZE, Limits

if TYPE_CHECKING:
    from .blob_store import Base64Bytes, Draft


@dataclass(slots=True)
class Upload:
    """An upload in progress: `received` bytes in `parts` parts, in a draft.

    `first_part` is the number of bytes after the first part.

    >>> from ecr_layer_client.local._registry.blob_store import Store
    >>> upload = Upload("app", "123456789012", "6f0f…", Store().draft())
    >>> upload.add(0, 4, b"layer")
    4
    """

    repository: str
    registry_id: str
    upload_id: str
    draft: Draft
    limits: Limits = DEFAULT_LIMITS
    parts: int = 0
    first_part: int = 0
    last_part_size: int = 0
    has_small_part: bool = False
    # Its parts and its end may come in several threads.
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def received(self) -> int:
        """The number of bytes so far."""
        return self.draft.size

    def add(
        self,
        first: int,
        last: int,
        data: bytes | Base64Bytes | Draft,
        accepted: int | None = None,
    ) -> int:
        """Add one part and return the last byte received. Parts arrive in order, without gaps.

        If `accepted` is given, only this many bytes of the part are taken.

        Raises AwsError InvalidLayerPartException or LimitExceededException. The members of
        InvalidLayerPartException have `lastValidByteReceived`, the byte after which to resume.
        Before the first part that member is left out (assumed).
        """
        if first != self.received or last - first + 1 != len(data) or not data:
            raise self._out_of_place(first, last, len(data))
        if self.parts == self.limits.parts or last >= self.limits.layer:
            code = "LimitExceededException"
            limit = f"{self.limits.parts} layer parts, and of {self.limits.layer} bytes"
            what = f"The upload with id '{self.upload_id}'"
            raise AwsError(code, f"{what} goes beyond the maximum of {limit}")

        size = len(data)
        try:
            self.draft.write(data if accepted is None else b"".join(pieces_of(data))[:accepted])
        except ValueError:
            where = "layerPartBlob"
            raise invalid_parameter(where, "must be a string of base64") from None

        self.has_small_part |= self.parts > 0 and self.last_part_size < MIN_PART_SIZE
        self.first_part = self.first_part or self.received
        self.parts += 1
        self.last_part_size = size
        return self.received - 1

    def digest(self) -> str:
        """Return the digest of the bytes of a valid upload.

        Raises AwsError EmptyUploadException for an upload without parts, and
        LayerPartTooSmallException for an upload with a part that is too small.
        """
        if not self.parts:
            code = "EmptyUploadException"
            what = f"The upload with id '{self.upload_id}'"
            raise AwsError(code, f"{what} does not contain any layer parts")
        if self.has_small_part:
            code = "LayerPartTooSmallException"
            raise AwsError(code, "All layer parts except the last part should be at least 5MB")
        return self.draft.digest

    def keep(self) -> None:
        """Put the bytes into the store."""
        self.draft.keep()

    def _out_of_place(self, first: int, last: int, length: int) -> AwsError:
        return AwsError(
            "InvalidLayerPartException",
            "The layer part size is not valid, or the first byte specified is not consecutive to "
            "the last byte of a previous layer part upload: "
            f"bytes {first}-{last} of {length} sent, {self.received} expected first",
            registryId=self.registry_id,
            repositoryName=self.repository,
            uploadId=self.upload_id,
            lastValidByteReceived=self.received - 1 if self.received else None,
        )
