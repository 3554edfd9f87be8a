"""ListImageReferrers: the artifacts whose manifests name an image as their subject."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from .errors import invalid_parameter
from .images import manifest_bytes
from .manifest import DIGEST, DIGEST_PATTERN
from .paging import page_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .blob_store import Store
    from .state import Row, StoredImage, StoredRepository

# Inside the class, `list` is its method.
Rows = list["Row"]

MAX_PAGE_SIZE = 50  # ECR model: FiftyMaxResults. AWS documentation: also the default


class Referrers:
    """The operation on referrers. `now` returns the time in epoch seconds."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        """Read manifests from `store`."""
        self._now = now
        self._store = store

    def list(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run ListImageReferrers. A subject that does not exist may have referrers, too (OCI)."""
        subject: str = request["subjectId"]["imageDigest"].lower()
        if not DIGEST(subject):
            where = "subjectId.imageDigest"
            raise invalid_parameter(where, f"must satisfy regular expression '{DIGEST_PATTERN}'")

        images = self._find(repository, subject, request.get("filter", {}))
        found = {image.digest: image for image in images}
        page, more = page_of(found, request, MAX_PAGE_SIZE)
        rows = [
            {**self._descriptor(image), "artifactStatus": image.status(self._now())}
            for image in page
        ]
        return {"referrers": rows, **more}

    def descriptors(self, repository: StoredRepository, subject: str) -> Rows:
        """Return descriptors of OCI of all active referrers."""
        return [self._descriptor(image) for image in self._find(repository, subject, {})]

    def _find(
        self, repository: StoredRepository, subject: str, asked: Mapping[str, Any]
    ) -> Iterator[StoredImage]:
        for image in repository.images_naming(subject):
            if image.subject == subject and self._is_asked_for(image, asked):
                yield image

    def _is_asked_for(self, image: StoredImage, asked: Mapping[str, Any]) -> bool:
        status = asked.get("artifactStatus", "ACTIVE")  # ECR model: the default
        types = asked.get("artifactTypes") or [image.artifact_type]
        return status in {"ANY", image.status(self._now())} and image.artifact_type in types

    def _descriptor(self, image: StoredImage) -> Row:
        manifest = manifest_bytes(self._store, image.digest)
        row = {
            "digest": image.digest,
            "mediaType": image.media_type,
            "artifactType": image.artifact_type,
            "size": len(manifest),
            "annotations": _annotations(manifest),
        }
        return {name: value for name, value in row.items() if value is not None}


def _annotations(manifest: bytes) -> dict[str, str] | None:
    """Return the annotations of a manifest, without those that are not text."""
    found: Any = json.loads(manifest).get("annotations")
    if not isinstance(found, dict):
        return None
    members = cast("dict[str, Any]", found)
    return {name: value for name, value in members.items() if isinstance(value, str)}
