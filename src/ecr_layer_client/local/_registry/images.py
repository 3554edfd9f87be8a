"""ECR's operations on the images of one repository: put, get, list, describe, delete."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .errors import AwsError, invalid_parameter
from .image_ids import (
    TAG,
    TAG_PATTERN,
    all_ids,
    digest_of,
    existing_digest,
    failed,
    failure_of,
    ids_of,
    image_id_row,
)
from .manifest import Manifest, read_manifest
from .paging import page_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .blob_store import Store
    from .image_ids import ImageId
    from .limits import Limits
    from .state import Row, StoredImage, StoredRepository

# ECR model: ImageDetail. A later pull within this time is not recorded.
PULL_RECORD_SECONDS = 24 * 3600


class Images:
    """The operations on images. `now` returns the time in epoch seconds."""

    def __init__(self, store: Store, now: Callable[[], float], limits: Limits) -> None:
        """Keep the bytes of manifests in `store`."""
        self._max_layers = limits.layers_per_image
        self._now = now
        self._store = store

    # -- PutImage

    def put(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run PutImage."""
        manifest = read_manifest(request["imageManifest"], request.get("imageManifestMediaType"))
        tag: str | None = request.get("imageTag")
        if tag is not None and not TAG(tag):
            where = "imageTag"
            raise invalid_parameter(where, f"must satisfy regular expression '{TAG_PATTERN}'")
        if request.get("imageDigest", manifest.digest).lower() != manifest.digest:
            code = "ImageDigestDoesNotMatchException"
            message = (
                "The specified image digest does not match the digest that was calculated: "
                f"'{manifest.digest}'"
            )
            raise AwsError(code, message)
        # All blobs but the config (assumed).
        if self._max_layers is not None and len(manifest.blobs) - 1 > self._max_layers:
            # The wording is quoted in public issues. The code is assumed.
            code = "LimitExceededException"
            raise AwsError(code, "Limit on number of layers per image exceeded")
        _check_references(repository, manifest)
        _check_existing(repository, manifest.digest, tag, self._now())

        self._store.put(manifest.text.encode())
        self._hold(repository, manifest, tag)
        return {"image": self._row(repository, (manifest.digest, tag))}

    def _hold(self, repository: StoredRepository, manifest: Manifest, tag: str | None) -> None:
        image, now = repository.images.get(manifest.digest), self._now()
        if image is None:
            repository.images[manifest.digest] = manifest.image(pushed_at=now)
        elif image.status(now) != "ACTIVE":
            repository.restore(image, now)
        if tag is not None:
            repository.tags[tag] = manifest.digest

        for digest, media_type in manifest.blobs.items():
            layer = repository.layers[digest]
            # AWS documentation: pushing an image again restores an archived one. Assumed: the
            # manifest sets the media type, because an upload has none.
            repository.layers[digest] = replace(
                layer,
                archived=False,
                restored_at=0.0,
                media_type=media_type or layer.media_type,
            )

    # -- BatchGetImage

    def get(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run BatchGetImage. A digest returns one row for each tag of its image."""
        accepted: list[str] | None = request.get("acceptedMediaTypes")
        now = self._now()
        # In order, and none twice (assumed).
        found: dict[ImageId, None] = {}
        failures: list[Row] = []
        for asked in request["imageIds"]:
            if failure := failure_of(repository, asked) or _withheld(
                repository, asked, accepted, now
            ):
                failures.append(failure)
            else:
                found |= dict.fromkeys(ids_of(repository, asked))

        for digest, _ in found:
            _record_pull(repository, digest, now)
        return {"images": [self._row(repository, each) for each in found], "failures": failures}

    def _row(self, repository: StoredRepository, image_id: ImageId) -> Row:
        digest, _ = image_id
        return {
            **repository.identity,
            "imageId": image_id_row(image_id),
            "imageManifest": manifest_bytes(self._store, digest).decode(),
            "imageManifestMediaType": repository.images[digest].media_type,
        }

    # -- BatchDeleteImage

    def delete(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run BatchDeleteImage.

        A tag is removed, and the image with its last tag. A digest removes the image with all its
        tags.
        """
        deleted: list[Row] = []
        failures: list[Row] = []
        for asked in request["imageIds"]:
            if failure := failure_of(repository, asked) or _referenced(repository, asked):
                failures.append(failure)
                continue

            ids = ids_of(repository, asked)
            for digest, tag in ids:
                if tag is not None:
                    del repository.tags[tag]
                if not repository.tags_of(digest):
                    repository.images.pop(digest, None)
            deleted += map(image_id_row, ids)

        return {"imageIds": deleted, "failures": failures}

    # -- ListImages and DescribeImages

    def list(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run ListImages: one row for each tag, and one for each untagged image."""

        def rows_after(key: str) -> Iterator[tuple[str, ImageId]]:
            # The rest of an image's tags comes first.
            for image in _filtered(repository, request, key.partition(" ")[0], self._now()):
                for digest, tag in all_ids(repository, image.digest):
                    yield f"{digest} {tag or ''}", (digest, tag)

        page, more = page_from(rows_after, request)
        return {"imageIds": list(map(image_id_row, page)), **more}

    def describe(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run DescribeImages, for the images that the request names, or for a page of all."""
        now = self._now()
        if "imageIds" not in request:
            page, more = page_from(
                lambda key: (
                    (image.digest, image) for image in _filtered(repository, request, key, now)
                ),
                request,
            )
            return {"imageDetails": [_details(repository, image, now) for image in page], **more}

        # AWS documentation of both members.
        for member in ("nextToken", "maxResults"):
            if member in request:
                rule = "cannot be used when images are specified with imageIds"
                raise invalid_parameter(member, rule)

        digests = dict.fromkeys(
            existing_digest(repository, asked, "imageIds") for asked in request["imageIds"]
        )
        images = [repository.images[digest] for digest in digests]
        return {"imageDetails": [_details(repository, image, now) for image in images]}


def _check_references(repository: StoredRepository, manifest: Manifest) -> None:
    """Reject a manifest that names layers or images that the repository does not have.

    The wordings are quoted in public issues.
    """
    for code, what, named, held in (
        ("LayersNotFoundException", "Layers", manifest.blobs, repository.layers),
        ("ReferencedImagesNotFoundException", "Images", manifest.children, repository.images),
    ):
        missing = [digest for digest in named if digest not in held]
        if missing:
            where = (
                f"repository with name '{repository.name}' in the registry with id "
                f"'{repository.registry_id}'"
            )
            message = (
                f"{what} with digests '[{', '.join(missing)}]' required for pushing image into "
                f"{where} do not exist"
            )
            raise AwsError(code, message)


def _check_existing(repository: StoredRepository, digest: str, tag: str | None, now: float) -> None:
    image = repository.images.get(digest)
    tags = {None, *repository.tags_of(digest)}
    if image is not None and image.status(now) == "ACTIVE" and tag in tags:
        # In immutable repositories, too (assumed: reports differ). The wording is quoted in public
        # issues.
        code = "ImageAlreadyExistsException"
        message = (
            f"Image with digest '{digest}' and tag '{tag or 'null'}' already exists in the "
            f"repository with name '{repository.name}' in registry with id "
            f"'{repository.registry_id}'"
        )
        raise AwsError(code, message)

    if tag is None or repository.tags.get(tag, digest) == digest:
        return
    if _is_immutable(repository, tag):
        # The wording is quoted in public issues.
        code = "ImageTagAlreadyExistsException"
        message = (
            f"The image tag '{tag}' already exists in the '{repository.name}' repository and "
            "cannot be overwritten because the repository is immutable."
        )
        raise AwsError(code, message)


def _is_immutable(repository: StoredRepository, tag: str) -> bool:
    setting = repository.description["imageTagMutability"]
    filters: list[Row] = repository.description.get("imageTagMutabilityExclusionFilters", [])
    is_excluded = setting.endswith("_WITH_EXCLUSION") and any(
        fnmatch.fnmatchcase(tag, each["filter"]) for each in filters
    )
    return bool(setting.startswith("IMMUTABLE") != is_excluded)


def _withheld(
    repository: StoredRepository, asked: Row, accepted: list[str] | None, now: float
) -> Row | None:
    """Return why an image cannot be pulled, or None if it can be pulled."""
    image = repository.images[digest_of(repository, asked)]
    # AWS documentation: a pull fails, also while the image is restored. The code is assumed.
    if image.status(now) != "ACTIVE":
        return failed(asked, "ImageInaccessible", "Requested image is archived")
    # Assumed, because Docker's API responds with 404 in this case.
    if accepted is not None and image.media_type not in accepted:
        return failed(asked, "ImageNotFound", "Requested image not found")
    return None


def _record_pull(repository: StoredRepository, digest: str, now: float) -> None:
    image = repository.images[digest]
    if image.last_pulled_at is None or now >= image.last_pulled_at + PULL_RECORD_SECONDS:
        repository.images[digest] = replace(image, last_pulled_at=now)


def manifest_bytes(store: Store, digest: str) -> bytes:
    """Return the bytes of an image's manifest."""
    manifest = store.get(digest)
    if manifest is None:
        # Only somebody who deletes files of the data directory can cause this.
        code = "ServerException"
        message = f"The bytes of the manifest '{digest}' are gone from the data directory"
        raise AwsError(code, message, 500)
    return manifest[:]


def _referenced(repository: StoredRepository, asked: Row) -> Row | None:
    """Return why an image cannot be deleted: an index lists it. None if it can be deleted.

    Such an image keeps its last tag, too (quoted in public issues of ECR Public).
    """
    digest = digest_of(repository, asked)
    if "imageTag" in asked and len(repository.tags_of(digest)) > 1:
        return None

    naming = repository.images_naming(digest)
    indexes = [image.digest for image in naming if digest in image.children]
    if not indexes:
        return None
    why = f"Requested image referenced by manifest list: [{', '.join(indexes)}]"
    return failed(asked, "ImageReferencedByManifestList", why)


def _filtered(
    repository: StoredRepository, request: Mapping[str, Any], start: str, now: float
) -> Iterator[StoredImage]:
    """Yield the images that the request's filter selects, from the digest `start`, in order."""
    asked: Mapping[str, str] = request.get("filter", {})
    tag_status = asked.get("tagStatus", "ANY")
    status = asked.get("imageStatus", "ACTIVE")  # ECR model: the default of imageStatus

    for digest in repository.indexes.digests_from(start):
        image = repository.images[digest]
        its_tag_status = "TAGGED" if repository.indexes.tags_of(digest) else "UNTAGGED"
        if tag_status in {"ANY", its_tag_status} and status in {"ANY", image.status(now)}:
            yield image


def _details(repository: StoredRepository, image: StoredImage, now: float) -> Row:
    last_activated_at = None if image.status(now) == "ACTIVATING" else image.last_activated_at
    details: Row = {
        **repository.identity,
        "imageDigest": image.digest,
        "imageTags": repository.tags_of(image.digest) or None,
        "imageSizeInBytes": _size(repository, image),
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": image.media_type,
        "artifactMediaType": image.artifact_type,
        "subjectManifestDigest": image.subject,
        "lastRecordedPullTime": image.last_pulled_at,
        "imageStatus": image.status(now),
        "lastArchivedAt": image.last_archived_at,
        "lastActivatedAt": last_activated_at,
    }

    return {name: value for name, value in details.items() if value is not None}


def _size(repository: StoredRepository, image: StoredImage) -> int:
    """Return the size of an image in bytes.

    The size is that of its blobs (assumed). The size of an index is that of the largest image that
    the index lists (ECR model).
    """
    children = [
        repository.images[digest] for digest in image.children if digest in repository.images
    ]
    own = sum(
        repository.layers[digest].size for digest in image.blobs if digest in repository.layers
    )
    return max([own, *(_size(repository, child) for child in children)])
