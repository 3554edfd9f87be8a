"""The tags of a repository as an AWS resource: keys with values. Tags of images are in `images`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecr_layer_client._models.repository import Repository

from .errors import AwsError, invalid_parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .state import Row, StoredRepository

MAX_TAGS = 50  # ECR model: TooManyTagsException
MAX_KEY, MAX_VALUE = 128, 256  # ECR model: InvalidTagParameterException


def repository_of_arn(arn: str, region: str) -> Repository:
    """Return the repository that an ARN names. Raises AwsError for any other ARN."""
    try:
        repository = Repository.coerce(arn)
    except ValueError:
        repository = None
    if repository is None or not arn.startswith("arn:") or repository.region != region:
        # The wording is that of other emulators. That another Region is not valid is assumed.
        where = "resourceArn"
        raise invalid_parameter(where, "Invalid ARN")
    return repository


def tag(repository: StoredRepository, request: Mapping[str, Any]) -> Row:
    """Run TagResource."""
    add_tags(repository, request["tags"])
    return {}


def untag(repository: StoredRepository, request: Mapping[str, Any]) -> Row:
    """Run UntagResource. A key that the repository does not have is ignored (assumed)."""
    for key in request["tagKeys"]:
        repository.resource_tags.pop(key, None)
    return {}


def list_tags(repository: StoredRepository, _request: Mapping[str, Any]) -> Row:
    """Run ListTagsForResource."""
    tags = sorted(repository.resource_tags.items())
    return {"tags": [{"Key": key, "Value": value} for key, value in tags]}


def add_tags(repository: StoredRepository, tags: list[Mapping[str, str]]) -> None:
    """Add tags, in place of those with the same keys. Raises AwsError for an invalid tag."""
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) < len(keys) or any(
        not 0 < len(tag["Key"]) <= MAX_KEY or len(tag["Value"]) > MAX_VALUE for tag in tags
    ):
        code = "InvalidTagParameterException"
        limits = f"keys of 1 to {MAX_KEY} characters, none twice, and values of at most {MAX_VALUE}"
        # The beginning is quoted in public repositories.
        raise AwsError(code, f"Tag parameters are invalid: a request needs {limits}")

    count = len({*repository.resource_tags, *keys})
    if count > MAX_TAGS:
        code = "TooManyTagsException"
        raise AwsError(code, f"The number of tags must be at most {MAX_TAGS}, not {count}")
    repository.resource_tags.update((tag["Key"], tag["Value"]) for tag in tags)
