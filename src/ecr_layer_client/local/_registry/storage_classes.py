"""UpdateImageStorageClass: archive an image, or restore it, which may take some time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .image_ids import existing_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .state import Row, StoredRepository


class StorageClasses:
    """The operation on storage classes. `now` returns the time in epoch seconds."""

    def __init__(self, now: Callable[[], float], restore_time: float) -> None:
        """Restore an image within `restore_time` seconds."""
        self._now = now
        self._restore_time = restore_time

    def update(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run UpdateImageStorageClass. An image that has the class already stays as it is."""
        asked: Row = request["imageId"]
        digest, now = existing_digest(repository, asked, "imageId"), self._now()
        image = repository.images[digest]

        match request["targetStorageClass"], image.status(now):
            case "ARCHIVE", "ACTIVE":
                repository.archive(image, now)
            case "ARCHIVE", "ACTIVATING":
                # Assumed.
                code = "ImageStorageClassUpdateNotSupportedException"
                what = (
                    f"The image with digest '{digest}' cannot be archived while it is restored, in"
                )
                raise repository.error(code, what)
            case "STANDARD", "ARCHIVED":
                repository.restore(image, now + self._restore_time)
            case _:
                pass

        status = repository.images[digest].status(now)
        image_id = {**asked, "imageDigest": digest}
        return {**repository.identity, "imageId": image_id, "imageStatus": status}
