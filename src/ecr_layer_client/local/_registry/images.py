"""ECR's operations on the images of one repository: put, get, list, describe, delete."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .errors import AwsError, invalid_parameter
from .manifest import DIGEST, DIGEST_PATTERN, Manifest, read_manifest
from .paging import page_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .blob_store import Store
    from .state import Row, StoredImage, StoredRepository

TAG_PATTERN = (
    "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"  # OCI distribution specification: <reference> as a tag
)
TAG = re.compile(TAG_PATTERN).fullmatch
ImageId = tuple[str, str | None]  # digest, and the tag if any


class Images:
    """The operations on images. `now` tells the time in epoch seconds."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        """Keep the bytes of manifests in `store`."""
        self._now = now
        self._store = store

    # -- PutImage
    # -----------------------------------------------------------------------------------------------------

    def put(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run PutImage."""
        manifest = read_manifest(request["imageManifest"], request.get("imageManifestMediaType"))
        tag: str | None = request.get("imageTag")
        if tag is not None and not TAG(tag):
            where = "imageTag"
            raise invalid_parameter(where, f"must satisfy regular expression '{TAG_PATTERN}'")
        if request.get("imageDigest", manifest.digest).lower() != manifest.digest:
            code = "ImageDigestDoesNotMatchException"
            raise AwsError(
                code,
                f"The specified image digest does not match the digest that was calculated: '{manifest.digest}'",
            )
        _check_what_it_names(repository, manifest)
        _check_what_is_there(repository, manifest.digest, tag)
        self._store.put(manifest.text.encode())
        self._hold(repository, manifest, tag)
        return {"image": self._row(repository, (manifest.digest, tag))}

    def _hold(self, repository: StoredRepository, manifest: Manifest, tag: str | None) -> None:
        image = repository.images.get(manifest.digest)
        if image is None:
            repository.images[manifest.digest] = manifest.image(pushed_at=self._now())
        elif image.archived_at is not None:
            repository.images[manifest.digest] = replace(
                image, archived_at=None, activated_at=self._now()
            )
        if tag is not None:
            repository.tags[tag] = manifest.digest
        for digest, media_type in manifest.blobs.items():
            layer = repository.layers[digest]
            # Assumed: an upload did not say.
            media_type = media_type or layer.media_type  # noqa: PLW2901
            # AWS documentation: pushing an image that is archived restores it
            repository.layers[digest] = replace(layer, archived=False, media_type=media_type)

    # -- BatchGetImage
    # ------------------------------------------------------------------------------------------------

    def get(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run BatchGetImage: one row for each tag of an image that is asked for by its digest."""
        accepted: list[str] | None = request.get("acceptedMediaTypes")
        found: dict[ImageId, None] = {}  # in order, and none twice (assumed)
        failures: list[Row] = []
        for asked in request["imageIds"]:
            if failure := _failure(repository, asked) or _withheld(repository, asked, accepted):
                failures.append(failure)
            else:
                found |= dict.fromkeys(_ids_of(repository, asked))
        return {"images": [self._row(repository, each) for each in found], "failures": failures}

    def _row(self, repository: StoredRepository, image_id: ImageId) -> Row:
        digest, _ = image_id
        manifest = self._store.get(digest)
        if manifest is None:  # only a hand in the data directory can do this
            code = "ServerException"
            raise AwsError(
                code, f"The bytes of the manifest '{digest}' are gone from the data directory", 500
            )
        return {
            "registryId": repository.registry_id,
            "repositoryName": repository.name,
            "imageId": _image_id(image_id),
            "imageManifest": manifest[:].decode(),
            "imageManifestMediaType": repository.images[digest].media_type,
        }

    # -- BatchDeleteImage
    # ---------------------------------------------------------------------------------------------

    def delete(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run BatchDeleteImage: a tag, and the image with its last one.

        Or an image with all its tags.
        """
        deleted: list[Row] = []
        failures: list[Row] = []
        for asked in request["imageIds"]:
            if failure := _failure(repository, asked) or _referenced(repository, asked):
                failures.append(failure)
                continue
            ids = _ids_of(repository, asked)
            for digest, tag in ids:
                repository.tags.pop(tag or "", None)
                if not repository.tags_of(digest):
                    repository.images.pop(digest, None)
            deleted += map(_image_id, ids)
        return {"imageIds": deleted, "failures": failures}

    # -- ListImages and DescribeImages
    # --------------------------------------------------------------------------------

    def list(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run ListImages: one row for each tag, and one for each image without any."""
        digests = {image.digest for image in _filtered(repository, request.get("filter", {}))}
        ids: list[ImageId] = [
            (digest, tag) for tag, digest in repository.tags.items() if digest in digests
        ]
        ids += [(digest, None) for digest in digests.difference(repository.tags.values())]
        page, more = page_of(
            {f"{digest} {tag or ''}": (digest, tag) for digest, tag in ids}, request
        )
        return {"imageIds": list(map(_image_id, page)), **more}

    def describe(self, repository: StoredRepository, request: Mapping[str, Any]) -> Row:
        """Run DescribeImages, of those named or page by page."""
        if "imageIds" in request:
            for member in ("nextToken", "maxResults"):
                if member in request:  # AWS documentation of both members
                    raise invalid_parameter(
                        member, "cannot be used when images are specified with imageIds"
                    )
            digests = dict.fromkeys(_described(repository, asked) for asked in request["imageIds"])
            return {
                "imageDetails": [
                    _details(repository, repository.images[digest]) for digest in digests
                ]
            }
        images = {image.digest: image for image in _filtered(repository, request.get("filter", {}))}
        page, more = page_of(images, request)
        return {"imageDetails": [_details(repository, image) for image in page], **more}


def _check_what_it_names(repository: StoredRepository, manifest: Manifest) -> None:
    """Refuse a manifest that names what the repository does not hold.

    Wordings quoted in public issues.
    """
    for code, what, named, held in (
        ("LayersNotFoundException", "Layers", manifest.blobs, repository.layers),
        ("ReferencedImagesNotFoundException", "Images", manifest.children, repository.images),
    ):
        if missing := [digest for digest in named if digest not in held]:
            where = f"repository with name '{repository.name}' in the registry with id '{repository.registry_id}'"
            raise AwsError(
                code,
                f"{what} with digests '[{', '.join(missing)}]' required for pushing image into {where} do not exist",
            )


def _check_what_is_there(repository: StoredRepository, digest: str, tag: str | None) -> None:
    image = repository.images.get(digest)
    if (
        image is not None
        and image.archived_at is None
        and tag in {None, *repository.tags_of(digest)}
    ):
        # In immutable repositories, too (assumed: reports differ); wording quoted in public issues.
        code = "ImageAlreadyExistsException"
        where = f"the repository with name '{repository.name}' in registry with id '{repository.registry_id}'"
        raise AwsError(
            code,
            f"Image with digest '{digest}' and tag '{tag or 'null'}' already exists in {where}",
        )
    if (
        tag is not None
        and repository.tags.get(tag, digest) != digest
        and _is_immutable(repository, tag)
    ):
        code = "ImageTagAlreadyExistsException"  # wording quoted in public issues
        why = "cannot be overwritten because the repository is immutable."
        raise AwsError(
            code,
            f"The image tag '{tag}' already exists in the '{repository.name}' repository and {why}",
        )


def _is_immutable(repository: StoredRepository, tag: str) -> bool:
    setting = repository.description["imageTagMutability"]
    filters: list[Row] = repository.description.get("imageTagMutabilityExclusionFilters", [])
    is_excluded = setting.endswith("_WITH_EXCLUSION") and any(
        fnmatch.fnmatchcase(tag, each["filter"]) for each in filters
    )
    return bool(setting.startswith("IMMUTABLE") != is_excluded)


def _failure(repository: StoredRepository, asked: Row) -> Row | None:
    """Return why there is no such image; None when there is."""
    digest, tag = asked.get("imageDigest"), asked.get("imageTag")
    if digest is None and tag is None:
        return _failed(
            asked,
            "MissingDigestAndTag",
            "Invalid request parameters: both tag and digest cannot be null",
        )
    if digest is not None and not DIGEST(digest):
        return _failed(
            asked,
            "InvalidImageDigest",
            f"Invalid request parameters: image digest should satisfy the regex '{DIGEST_PATTERN}'",
        )
    if tag is not None and not TAG(tag):  # assumed
        return _failed(
            asked,
            "InvalidImageTag",
            f"Invalid request parameters: image tag should satisfy the regex '{TAG_PATTERN}'",
        )
    tagged = repository.tags.get(tag) if tag is not None else digest
    image = repository.images.get(digest or tagged or "")
    if image is None or tagged is None:
        return _failed(asked, "ImageNotFound", "Requested image not found")
    if tagged != image.digest:
        return _failed(
            asked,
            "ImageTagDoesNotMatchDigest",
            "Requested tag does not refer to the requested digest",
        )  # assumed
    return None


def _withheld(repository: StoredRepository, asked: Row, accepted: list[str] | None) -> Row | None:
    """Return why an image that is there can't be pulled; None when it can."""
    image = repository.images[_digest_of(repository, asked)]
    if (
        image.archived_at is not None
    ):  # AWS documentation says that a pull fails; by which code is assumed
        return _failed(asked, "ImageInaccessible", "Requested image is archived")
    if (
        accepted is not None and image.media_type not in accepted
    ):  # assumed: Docker's API answers 404 then
        return _failed(asked, "ImageNotFound", "Requested image not found")
    return None


def _failed(asked: Row, code: str, reason: str) -> Row:
    return {"imageId": asked, "failureCode": code, "failureReason": reason}


def _referenced(repository: StoredRepository, asked: Row) -> Row | None:
    """Return why an image can't be deleted: an index lists it.

    It keeps its last tag, too (quoted in public issues of ECR Public).
    """
    digest = _digest_of(repository, asked)
    if "imageTag" in asked and len(repository.tags_of(digest)) > 1:
        return None
    indexes = sorted(
        image.digest for image in repository.images.values() if digest in image.children
    )
    if not indexes:
        return None
    return _failed(
        asked,
        "ImageReferencedByManifestList",
        f"Requested image referenced by manifest list: [{', '.join(indexes)}]",
    )


def _digest_of(repository: StoredRepository, asked: Row) -> str:
    return str(asked.get("imageDigest") or repository.tags[asked["imageTag"]])


def _ids_of(repository: StoredRepository, asked: Row) -> list[ImageId]:
    tag = asked.get("imageTag")
    return (
        [(repository.tags[tag], tag)]
        if tag is not None
        else _all_ids(repository, asked["imageDigest"])
    )


def _all_ids(repository: StoredRepository, digest: str) -> list[ImageId]:
    tags = repository.tags_of(digest)
    return [(digest, tag) for tag in tags] if tags else [(digest, None)]


def _image_id(image_id: ImageId) -> Row:
    digest, tag = image_id
    return {"imageDigest": digest} if tag is None else {"imageDigest": digest, "imageTag": tag}


def _filtered(repository: StoredRepository, asked: Mapping[str, str]) -> Iterable[StoredImage]:
    tagged = set(repository.tags.values())
    tag_status, status = (
        asked.get("tagStatus", "ANY"),
        asked.get("imageStatus", "ACTIVE"),
    )  # ECR model: the default of imageStatus
    for image in repository.images.values():
        its_tag_status = "TAGGED" if image.digest in tagged else "UNTAGGED"
        if tag_status in {"ANY", its_tag_status} and status in {"ANY", image.status}:
            yield image


def _described(repository: StoredRepository, asked: Row) -> str:
    failure = _failure(repository, asked)
    if failure is None:
        return _digest_of(repository, asked)
    if failure["failureCode"] in {
        "ImageNotFound",
        "ImageTagDoesNotMatchDigest",
    }:  # wording quoted in public issues
        code = "ImageNotFoundException"
        names = ", ".join(
            f"{name}:'{asked.get(name) or 'null'}'" for name in ("imageDigest", "imageTag")
        )
        raise repository.refusal(code, f"The image with imageId {{{names}}} does not exist within")
    where = "imageIds"
    raise invalid_parameter(where, failure["failureReason"])


def _details(repository: StoredRepository, image: StoredImage) -> Row:
    details: Row = {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageDigest": image.digest,
        "imageTags": repository.tags_of(image.digest) or None,
        "imageSizeInBytes": _size(repository, image),
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": image.media_type,
        "artifactMediaType": image.artifact_type,
        "subjectManifestDigest": image.subject,
        "imageStatus": image.status,
        "lastArchivedAt": image.archived_at,
        "lastActivatedAt": image.activated_at,
    }
    return {name: value for name, value in details.items() if value is not None}


def _size(repository: StoredRepository, image: StoredImage) -> int:
    """Return the bytes of an image's blobs (assumed), and of an index those of the largest image that it lists (ECR model)."""
    children = [
        repository.images[digest] for digest in image.children if digest in repository.images
    ]
    own = sum(
        repository.layers[digest].size for digest in image.blobs if digest in repository.layers
    )
    return max([own, *(_size(repository, child) for child in children)])
