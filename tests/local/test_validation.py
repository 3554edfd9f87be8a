"""Requests are validated with ECR's own service model, and rejected in ECR's words."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ecr_layer_client.local._registry.errors import AwsError
from ecr_layer_client.local._registry.operations import OPERATIONS
from ecr_layer_client.local._validation import request_parser

GOOD = {"repositoryName": "app", "layerDigests": ["sha256:00"]}
UPLOAD_ID = "00000000-0000-0000-0000-000000000000"
PART = {
    "repositoryName": "app",
    "uploadId": UPLOAD_ID,
    "partFirstByte": 0,
    "partLastByte": 3,
    "layerPartBlob": "MTIzNA==",
}
UPLOAD_PATTERN = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
NAME_PATTERN = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"


def rejection(operation: str, members: dict[str, Any]) -> AwsError:
    """Return the error for a request with these members."""
    with pytest.raises(AwsError) as caught:
        request_parser(operation)(members)
    return caught.value


@pytest.mark.parametrize(
    ("change", "where", "constraint"),
    [
        ({"repositoryName": None}, "repositoryName", "must not be null"),
        ({"repositoryName": "a"}, "repositoryName", "must have length greater than or equal to 2"),
        (
            {"repositoryName": "a" * 257},
            "repositoryName",
            "must have length less than or equal to 256",
        ),
        (
            {"repositoryName": "App"},
            "repositoryName",
            f"must satisfy regular expression '{NAME_PATTERN}'",
        ),
        (
            {"repositoryName": "app\n"},
            "repositoryName",
            f"must satisfy regular expression '{NAME_PATTERN}'",
        ),
        ({"repositoryName": 5}, "repositoryName", "must be a string"),
        ({"registryId": "12"}, "registryId", "must satisfy regular expression [0-9]{12}"),
        ({"layerDigests": None}, "layerDigests", "Member must not be null"),
        (
            {"layerDigests": []},
            "layerDigests",
            "Member must have length greater than or equal to 1",
        ),
        (
            {"layerDigests": ["x"] * 101},
            "layerDigests",
            "Member must have length less than or equal to 100",
        ),
        ({"layerDigests": "sha256:00"}, "layerDigests", "must be a list"),
        ({"layerDigests": {"0": "x"}}, "layerDigests", "must be a list"),
        ({"layerDigests": ["x", None]}, "layerDigests", "Member must not be null"),
        (
            {"layerDigests": ["x", "y" * 1001]},
            "layerDigests",
            (
                "Member must satisfy constraint: [Member must have length less than or equal to "
                "1000, Member must have length greater than or equal to 0]"
            ),
        ),
        ({"layerDigests": ["x", ["y"]]}, "layerDigests", "must be a list of strings"),
    ],
)
def test_a_check_is_rejected_as_in_ecr(change: dict[str, Any], where: str, constraint: str) -> None:
    """An invalid check is InvalidParameterException with the member and the constraint."""
    error = rejection("BatchCheckLayerAvailability", {**GOOD, **change})
    assert error.code == "InvalidParameterException"
    assert (
        error.message
        == f"Invalid parameter at '{where}' failed to satisfy constraint: '{constraint}'"
    )


@pytest.mark.parametrize(
    ("operation", "members", "where", "constraint"),
    [
        (
            "DescribeImages",
            {"repositoryName": "app", "maxResults": 1001},
            "maxResults",
            "Member must have value less than or equal to 1000",
        ),
        (
            "GetAuthorizationToken",
            {"registryIds": ["123456789012", "12345678901"]},
            "registryIds",
            (
                "Member must satisfy constraint: [Member must satisfy regular expression pattern: "
                "[0-9]{12}]"
            ),
        ),
        (
            "DescribeRepositories",
            {"repositoryNames": ["app", "App"]},
            "repositoryName",
            f"must satisfy regular expression '{NAME_PATTERN}'",
        ),
        (
            "PutLifecyclePolicy",
            {"repositoryName": "app", "lifecyclePolicyText": ""},
            "lifecyclePolicyText",
            "Member must have length greater than or equal to 100",
        ),
        (
            "PutImageTagMutability",
            {"repositoryName": "app", "imageTagMutability": "SOMETIMES"},
            "imageTagMutability",
            (
                "Member must satisfy enum value set: [IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, "
                "IMMUTABLE_WITH_EXCLUSION]"
            ),
        ),
    ],
    ids=["value", "items", "names", "length", "enum"],
)
def test_places_and_words_are_those_of_ecr(
    operation: str, members: dict[str, Any], where: str, constraint: str
) -> None:
    """A rejected member has the place and the words that users of ECR quote."""
    expected = f"Invalid parameter at '{where}' failed to satisfy constraint: '{constraint}'"
    assert rejection(operation, members).message == expected


@pytest.mark.parametrize("count", [1, 100])
def test_up_to_a_hundred_digests_pass(count: int) -> None:
    """1 to 100 digests pass, also malformed ones, because the model has no pattern for them."""
    digests = ["not a digest"] * count
    assert (
        request_parser("BatchCheckLayerAvailability")({**GOOD, "layerDigests": digests})[
            "layerDigests"
        ]
        == digests
    )


def test_unknown_and_null_members_are_dropped() -> None:
    """Members that the model does not know, and null optional members, are ignored."""
    assert (
        request_parser("BatchCheckLayerAvailability")({**GOOD, "unheard": 1, "registryId": None})
        == GOOD
    )


def test_a_part_is_decoded() -> None:
    """A blob is decoded to its bytes."""
    assert request_parser("UploadLayerPart")(PART)["layerPartBlob"] == b"1234"


@pytest.mark.parametrize(
    ("change", "where", "constraint"),
    [
        ({"layerPartBlob": "***"}, "layerPartBlob", "must be a string of base64"),
        ({"layerPartBlob": "é"}, "layerPartBlob", "must be a string of base64"),
        ({"layerPartBlob": 5}, "layerPartBlob", "must be a string of base64"),
        (
            {"layerPartBlob": base64.b64encode(bytes(20971521)).decode()},
            "layerPartBlob",
            "Member must have length less than or equal to 20971520",
        ),
        (
            {"partFirstByte": -1},
            "partFirstByte",
            "Member must have value greater than or equal to 0",
        ),
        (
            {"uploadId": "x"},
            "uploadId",
            f"Member must satisfy regular expression pattern: {UPLOAD_PATTERN}",
        ),
        ({"partFirstByte": "0"}, "partFirstByte", "must be an integer"),
        ({"partFirstByte": True}, "partFirstByte", "must be an integer"),
        ({"partLastByte": 1.5}, "partLastByte", "must be an integer"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_part_is_rejected_as_in_ecr(change: dict[str, Any], where: str, constraint: str) -> None:
    """An invalid layer part is InvalidParameterException with the member and the constraint."""
    expected = f"Invalid parameter at '{where}' failed to satisfy constraint: '{constraint}'"
    assert rejection("UploadLayerPart", {**PART, **change}).message == expected


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"imageTagMutability": "SOMETIMES"}, "imageTagMutability"),
        (
            {"imageScanningConfiguration": {"scanOnPush": "yes"}},
            "imageScanningConfiguration.scanOnPush",
        ),
        ({"imageScanningConfiguration": []}, "imageScanningConfiguration"),
        ({"tags": [{"Key": "a", "Value": "b"}, {"Key": "a"}]}, "tags.2.member.value"),
    ],
)
def test_nested_members_are_named_by_their_path(change: dict[str, Any], where: str) -> None:
    """A member inside a structure or a list is named by its path."""
    assert (
        f"at '{where}' failed"
        in rejection("CreateRepository", {"repositoryName": "app", **change}).message
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_served_has_a_parser(operation: str) -> None:
    """Each operation that is served has a parser."""
    assert callable(request_parser(operation))
