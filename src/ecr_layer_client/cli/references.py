"""Arguments of commands that name image files, images, and targets of transfers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ecr_layer_client._models.repository import Repository


def check_image_source(path: str, argument: str) -> None:
    """Refuse what is not a file or a directory, such as the name of an image.

    Args:
        path: The value of the argument.
        argument: The argument's name, for the message.

    Raises:
        typer.BadParameter: It is not.
    """
    message = None
    if path == "-":
        message = "an image is read more than once, so it can't come from a pipe: save it to a file"
    elif not os.path.lexists(path):
        message = (
            f"{path!r} does not exist, and only local files are read: "
            "save the image first, for example with `docker save`"
        )
    if message is not None:
        raise typer.BadParameter(message, param_hint=argument)


def private_repository(name: str, command: str) -> Repository:
    """Return a repository for a command that does not work with ECR Public.

    Raises:
        InvalidInputError: The name is not valid, or is one of ECR Public.
    """
    from ecr_layer_client._models.errors import InvalidInputError
    from ecr_layer_client._models.public_repository import any_repository
    from ecr_layer_client._models.repository import service_of
    from ecr_layer_client._models.services import ECR

    repository = any_repository(name)
    if service_of(repository) is not ECR:
        message = (
            f"{name!r} is a repository of ECR Public, and {command} needs a private one: "
            "with ECR Public, use check, plan, push, or copy to it, and pull from it with docker, "
            "skopeo or crane"
        )
        raise InvalidInputError(message)
    return repository


def split_reference(image: str) -> tuple[str, str]:
    """Return the repository and the reference of an image's name.

    With a tag and a digest, the reference is the digest, as in Docker and Kubernetes.

    Raises:
        InvalidInputError: There is no reference, or the tag or digest is not valid.
    """
    from ecr_layer_client._models.errors import InvalidInputError
    from ecr_layer_client.images._operations import checked_reference, is_digest

    name, at, digest = image.rpartition("@")
    repository, tag = _split_tag(name if at else image)
    if tag is not None:
        checked_reference(tag)

    if at:
        if not is_digest(digest):
            message = f"{image!r} has no digest after '@': append a tag with ':'"
            raise InvalidInputError(message)
        return repository, digest

    if tag is None:
        message = f"{image!r} does not name an image: append ':' and a tag, or '@' and a digest"
        raise InvalidInputError(message)
    return repository, tag


def split_target(
    target: str, further_tags: Iterable[str] | None
) -> tuple[Repository, tuple[str, ...] | None]:
    """Return the repository and the tags that a transfer goes to. None: it names no tag.

    Raises:
        InvalidInputError: The repository or a tag is not valid.
    """
    from ecr_layer_client._models.errors import InvalidInputError
    from ecr_layer_client._models.public_repository import any_repository
    from ecr_layer_client.transfers._sources import checked_tags

    if "@" in target:
        message = f"{target!r} names a digest: name a repository, and give tags with ':' or --tag"
        raise InvalidInputError(message)
    name, tag = _split_tag(target)
    repository = any_repository(name)
    given = [*(() if tag is None else (tag,)), *(further_tags or ())]
    return repository, checked_tags(given) or None


def _split_tag(text: str) -> tuple[str, str | None]:
    """Return what comes before a tag, and the tag. An ARN has colons before its last slash."""
    path, slash, last = text.rpartition("/")
    if text.startswith("arn:") and not slash:
        return text, None
    last, colon, tag = last.partition(":")
    return f"{path}{slash}{last}", tag if colon else None
