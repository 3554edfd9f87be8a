"""The input of a push and of a copy, and the checks of whether ECR can take it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.public_repository import any_repository
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client.images._descriptor import TAG
from ecr_layer_client.images._operations import checked_reference
from ecr_layer_client.images._source import maker_of, opener_of
from ecr_layer_client.images._warnings import too_large

from ._contents import FileContent, MadeContent
from ._journal import UploadJournal
from ._layer_source import LayerSource, Origin

if TYPE_CHECKING:
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client._models.services import Service
    from ecr_layer_client.images._descriptor import Descriptor
    from ecr_layer_client.images._source import ImageSource

    from ._contents import Content
    from ._journal import Journal
    from ._protocols import ImagePusher

# Of a copy: the client and the repository, and the tags and the journal of the push.
CopyTarget = tuple["ImagePusher", "str | Repository", "Iterable[str] | None", "Journal | None"]
ONTO_ITSELF = (
    "a copy within one repository needs tags=: pass the new tags, or another repository or client"
)
_SHA256 = re.compile(r"sha256:[a-f0-9]{64}")


class Contents:
    """Opens the blobs of some sources."""

    def __init__(self, sources: Iterable[ImageSource]) -> None:
        self._sources = {
            blob.digest: source for source in reversed(tuple(sources)) for blob in source.blobs
        }

    @property
    def origins(self) -> set[Origin]:
        """The repositories that the blobs are copied from, if their registries are known."""
        makers = [maker_of(source) for source in self._sources.values()]
        origins = {make.origin for make in makers if isinstance(make, LayerSource)}
        return {origin for origin in origins if origin.registry_id is not None}

    async def prepare(self, blobs: Iterable[Descriptor]) -> None:
        """Find out whether the blobs of other repositories can be downloaded."""
        by_source: dict[LayerSource, list[Descriptor]] = {}
        for blob in blobs:
            make = maker_of(self._sources[blob.digest])
            if isinstance(make, LayerSource):
                by_source.setdefault(make, []).append(blob)
        for layers, its in by_source.items():
            await layers.prepare(its)

    def __call__(self, blob: Descriptor) -> Content:
        """Return the content of a blob, which is opened when it is read."""
        source = self._sources[blob.digest]
        make = maker_of(source)
        if isinstance(make, LayerSource):
            return make(blob)
        if make is not None:
            return MadeContent(source.name, blob, make)
        return FileContent(source.name, blob, opener_of(source, blob))


def tags_of_push(
    sources: Iterable[ImageSource], tags: Iterable[str] | None
) -> dict[str, tuple[str, ...]]:
    """Return the tags of each manifest by its digest.

    Args:
        sources: The images.
        tags: The argument `tags=`. None: the tags of the sources themselves.

    Raises:
        InvalidInputError: A tag is not valid, or is meant for two images.
    """
    wanted: dict[str, dict[str, None]] = {}
    images = tuple(sources)
    roots = {root.digest: None for source in images for root in source.roots}
    if tags is None:
        for source in images:
            for digest, its in source.tags.items():
                wanted.setdefault(digest, {}).update(dict.fromkeys(its))
    else:
        given = dict.fromkeys(checked_tags(tags))
        wanted = {root: given for root in roots if given}

    named: dict[str, str] = {}
    for digest, of_digest in wanted.items():
        for tag in of_digest:
            if named.setdefault(tag, digest) != digest:
                first, second = (_name_of(each, tag, images) for each in (named[tag], digest))
                msg = (
                    f"the tag {quoted(tag)} would name two images, {first} and {second}: "
                    "push one of them, or pass tags=()"
                )
                raise InvalidInputError(msg)
    return {digest: tuple(of_digest) for digest, of_digest in wanted.items()}


def _name_of(digest: str, tag: str, sources: Iterable[ImageSource]) -> str:
    """Return another tag of an image than one, or else its digest."""
    others = (its for source in sources for its in source.tags.get(digest, ()) if its != tag)
    return next(others, digest)


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags, if they are valid.

    Raises:
        InvalidInputError: They are not.
    """
    given = tuple(tags) if isinstance(tags, Iterable) and not isinstance(tags, str) else None
    if given is None:
        msg = f"tags={quoted(tags)} must be an iterable of tags, such as ['latest'], or None"
        raise InvalidInputError(msg)
    for tag in given:
        if not isinstance(tag, str) or not TAG.fullmatch(tag):
            msg = (
                f"tags: {quoted(tag)} is not a valid tag: use up to 128 letters, digits, "
                "'_', '.' and '-', and begin with a letter, a digit or '_'"
            )
            raise InvalidInputError(msg)
    return given


def refuse_what_cannot_be_pushed(sources: Iterable[ImageSource], service: Service) -> None:
    """Refuse what the service would refuse after the upload.

    Raises:
        InvalidInputError: A blob is empty, too large, of unknown size or not sha256; or a source
            has manifests alone.
    """
    for source in sources:
        for blob in source.blobs:
            problem = _problem(blob, service)
            if problem is not None:
                msg = f"{source.name}: {blob.digest} {problem}"
                raise InvalidInputError(msg)
            if maker_of(source) is None:
                opener_of(source, blob)


def _problem(blob: Descriptor, service: Service) -> str | None:
    if not _SHA256.fullmatch(blob.digest):
        return "can't be pushed, because ECR accepts sha256 digests only"
    if blob.size is None:
        return (
            "has no size, because its manifest is of schema 1: a push needs a manifest with sizes"
        )
    if blob.size == 0:
        return "has 0 bytes, and ECR refuses empty blobs"
    return too_large(blob, service)


def checked_references(references: str | Iterable[str]) -> list[str]:
    """Return the argument `references=`, each reference once, if they are valid.

    Raises:
        InvalidInputError: They are not, or there are none.
    """
    given = [references] if isinstance(references, str) else references
    if not isinstance(given, Iterable):
        msg = f"references={quoted(references)} must be a tag or a digest, or several of them"
        raise InvalidInputError(msg)
    found = [checked_reference(each) for each in given]
    if not found:
        msg = "references is empty: name the tags or digests to copy"
        raise InvalidInputError(msg)
    return list(dict.fromkeys(found))


def checked_target(
    pusher: ImagePusher,
    repository: str | Repository,
    tags: Iterable[str] | None,
    journal: Journal | None,
) -> CopyTarget:
    """Return the target of a copy, if it is valid; for a thread.

    Raises:
        InvalidInputError: It is not.
    """
    if not callable(getattr(pusher, "push", None)):
        msg = (
            f"to={quoted(pusher)} must be an open client, such as that of another Region, "
            "or another ImagePusher"
        )
        raise InvalidInputError(msg)
    any_repository(repository)
    UploadJournal(journal)
    return pusher, repository, None if tags is None else checked_tags(tags), journal
