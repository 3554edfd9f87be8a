"""Every response of every operation follows botocore's service model, and has nothing beside it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ecr_layer_client.local._aws_model import service_model
from ecr_layer_client.local._clock import Clock
from ecr_layer_client.local._protocol import TARGET_PREFIX, Request
from ecr_layer_client.local._registry.operations import OPERATIONS
from ecr_layer_client.local._registry.registry import Registry
from ecr_layer_client.local._service import Service

LAYER = "sha256:" + "a" * 64
SELECTION = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}
LIFECYCLE_POLICY = json.dumps(
    {"rules": [{"rulePriority": 1, "selection": SELECTION, "action": {"type": "expire"}}]}
)
REPOSITORY_POLICY = json.dumps(
    {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "ecr:PutImage"}}
)
TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "list": (list,),
    "map": (dict,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "timestamp": (int, float),
}


def problems(value: Any, shape: Any, where: str = "") -> list[str]:
    """Return where a value differs from its shape.

    The checks cover types, patterns, enums, bounds of strings and unknown members.
    """
    if type(value) not in TYPES[shape.type_name]:
        return [f"{where}: {value!r} is not of the type {shape.type_name}"]
    if shape.type_name == "structure":
        return structure_problems(value, shape, where)
    # The bounds of lists apply to requests, because ECR returns empty lists.
    if shape.type_name == "list":
        return [problem for each in value for problem in problems(each, shape.member, f"{where}[]")]
    if shape.type_name == "map":
        return [
            problem for each in value.values() for problem in problems(each, shape.value, where)
        ]
    return string_problems(value, shape, where) if shape.type_name == "string" else []


def structure_problems(value: dict[str, Any], shape: Any, where: str) -> list[str]:
    """Return the members that are missing, unknown or invalid."""
    found = [f"{where}.{name} is missing" for name in shape.required_members if name not in value]
    found += [f"{where}.{name} is unknown" for name in value if name not in shape.members]
    known = [(name, each) for name, each in value.items() if name in shape.members]
    return found + [
        problem
        for name, each in known
        for problem in problems(each, shape.members[name], f"{where}.{name}")
    ]


def string_problems(value: str, shape: Any, where: str) -> list[str]:
    """Return the problems of a string."""
    meta = shape.metadata
    wrong = {
        "enum": "enum" in meta and value not in meta["enum"],
        "pattern": "pattern" in meta and not re.fullmatch(meta["pattern"], value),
        "min": len(value) < meta.get("min", 0),
        "max": len(value) > meta.get("max", len(value)),
    }

    return [
        f"{where}: {value[:100]!r} breaks {name}" for name, is_wrong in wrong.items() if is_wrong
    ]


class Checked:
    """A registry whose responses are all checked against the model."""

    def __init__(self) -> None:
        """Start with an empty registry."""
        self.service = Service(
            Registry(account="123456789012", region="us-east-1", now=Clock().now)
        )
        self.asked: set[str] = set()
        self.codes: set[str] = set()

    async def ask(self, operation: str, **members: Any) -> dict[str, Any]:
        """Send a request and return its checked response."""
        headers = {"x-amz-target": f"{TARGET_PREFIX}.{operation}", "host": "127.0.0.1:1"}
        reply = await self.service.answer(
            Request("POST", "/", headers, json.dumps(members).encode())
        )
        answer: dict[str, Any] = json.loads(reply.body[:])
        model = service_model().operation_model(operation)
        if reply.status == 200:
            self.asked.add(operation)
            assert problems(answer, model.output_shape, operation) == []
        else:
            code = answer.pop("__type")
            self.codes.add(code)
            errors = {shape.name: shape for shape in model.error_shapes}
            assert problems(answer, errors[code], f"{operation}: {code}") == []

        return answer


async def upload(
    checked: Checked,
    data: str,
    *digests: str,
    first: int = 0,
    parts: int = 1,
    repository: str = "app",
) -> None:
    """Upload parts of four bytes, given in base64, and complete the upload twice.

    `first` is the position that the first part claims.
    """
    upload_id = (await checked.ask("InitiateLayerUpload", repositoryName=repository))["uploadId"]
    upload = {"repositoryName": repository, "uploadId": upload_id}

    for start in range(first, first + 4 * parts, 4):
        await checked.ask(
            "UploadLayerPart",
            **upload,
            partFirstByte=start,
            partLastByte=start + 3,
            layerPartBlob=data,
        )

    for _ in range(2):
        await checked.ask("CompleteLayerUpload", **upload, layerDigests=list(digests))


async def create_repositories(checked: Checked, immutable: dict[str, Any]) -> None:
    """Create and describe repositories, among them invalid ones."""
    ask = checked.ask
    await ask("CreateRepository", repositoryName="app")
    await ask("CreateRepository", repositoryName="app")
    await ask("CreateRepository", repositoryName="t1", tags=[{"Key": "", "Value": ""}])
    tags = [{"Key": str(number), "Value": ""} for number in range(51)]
    await ask("CreateRepository", repositoryName="t2", tags=tags)
    await ask("CreateRepository", repositoryName="immutable", **immutable)
    await ask("DescribeRepositories", maxResults=1)
    await ask("DescribeRepositories", repositoryNames=["nope"])
    await ask("DescribeRepositories", repositoryNames=["App"])


async def ask_for_settings(checked: Checked, immutable: dict[str, Any]) -> None:
    """Change and read every setting of the repository, and of the account."""
    ask, arn = checked.ask, "arn:aws:ecr:us-east-1:123456789012:repository/app"
    await ask("TagResource", resourceArn=arn, tags=[{"Key": "k", "Value": "v"}])
    await ask("ListTagsForResource", resourceArn=arn)
    await ask("ListTagsForResource", resourceArn="app")
    await ask("UntagResource", resourceArn=arn, tagKeys=["k"])
    await ask("PutImageTagMutability", repositoryName="app", **immutable)
    await ask("DescribeRepositories", repositoryNames=["app"])
    await ask("PutImageScanningConfiguration", repositoryName="app", imageScanningConfiguration={})
    for put, kind, policy in (
        ("Put", "Lifecycle", {"lifecyclePolicyText": LIFECYCLE_POLICY}),
        ("Set", "Repository", {"policyText": REPOSITORY_POLICY}),
    ):
        await ask(f"{put}{kind}Policy", repositoryName="app", **dict.fromkeys(policy, "x" * 100))
        await ask(f"{put}{kind}Policy", repositoryName="app", **policy)
        await ask(f"Get{kind}Policy", repositoryName="app")
        for _ in range(2):
            await ask(f"Delete{kind}Policy", repositoryName="app")
    await ask("DescribeRegistry")
    await ask("PutAccountSetting", name="BLOB_MOUNTING", value="ENABLED")
    await ask("PutAccountSetting", name="BLOB_MOUNTING", value="ON")
    await ask("GetAccountSetting", name="BLOB_MOUNTING")


@pytest.mark.asyncio
async def test_every_response_follows_the_model() -> None:
    """Successes and errors of each operation have only the members and values of the model."""
    checked = Checked()
    ask = checked.ask
    of_1234 = "sha256:03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4"
    manifest: Any = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": of_1234},
        "layers": [],
    }
    image = json.dumps(manifest)
    index = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"digest": LAYER}],
    }
    filters = [{"filterType": "WILDCARD", "filter": "v*"}]
    immutable = {
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": filters,
    }

    await create_repositories(checked, immutable)

    # Layers.
    await upload(checked, "MTIzNA==", of_1234)
    await upload(checked, "MTIzNA==", of_1234)
    await upload(checked, "MTIzNA==", LAYER, first=1)
    await upload(checked, "MTIzNA==", LAYER)
    await ask(
        "BatchCheckLayerAvailability", repositoryName="app", layerDigests=[of_1234, LAYER, "x", ""]
    )
    await ask("GetDownloadUrlForLayer", repositoryName="app", layerDigest=of_1234)

    # Images.
    await ask("PutImage", repositoryName="app", imageManifest=image, imageTag="1.0")
    await ask("PutImage", repositoryName="app", imageManifest=image, imageTag="1.0")
    await ask("PutImage", repositoryName="app", imageManifest=image, imageDigest=LAYER)
    await ask("PutImage", repositoryName="immutable", imageManifest=image)
    await upload(checked, "MTIzNA==", of_1234, repository="immutable")
    await ask("PutImage", repositoryName="immutable", imageManifest=image, imageTag="1.0")
    await ask("PutImage", repositoryName="immutable", imageManifest=f"{image} ", imageTag="1.0")
    await upload(checked, "MTIzNA==", of_1234, parts=2)
    await ask("PutImage", repositoryName="app", imageManifest=json.dumps(index))
    await ask("PutImage", repositoryName="app", imageManifest="{")
    await ask("GetDownloadUrlForLayer", repositoryName="app", layerDigest=of_1234)
    await ask("GetDownloadUrlForLayer", repositoryName="app", layerDigest=LAYER)
    await ask(
        "BatchGetImage",
        repositoryName="app",
        imageIds=[{"imageTag": "1.0"}, {"imageTag": "2"}, {}, {"imageDigest": "x"}],
    )
    await ask("ListImages", repositoryName="app", maxResults=1)
    await ask("DescribeImages", repositoryName="app")
    await ask("DescribeImages", repositoryName="app", imageIds=[{"imageTag": "nope"}])

    # Referrers and storage classes.
    artifact = {**manifest, "subject": {"digest": LAYER}, "annotations": {"note": "signed"}}
    await ask("PutImage", repositoryName="app", imageManifest=json.dumps(artifact), imageTag="2.0")
    await ask("ListImageReferrers", repositoryName="app", subjectId={"imageDigest": LAYER})
    moving = {"repositoryName": "app", "imageId": {"imageTag": "2.0"}}
    for target in ("ARCHIVE", "STANDARD", "ARCHIVE"):
        await ask("UpdateImageStorageClass", **moving, targetStorageClass=target)
    await ask("DescribeImages", repositoryName="app", filter={"imageStatus": "ANY"})

    await ask_for_settings(checked, immutable)

    # Deletions.
    await ask("DeleteRepository", repositoryName="app")
    await ask(
        "BatchDeleteImage",
        repositoryName="app",
        imageIds=[{"imageTag": tag} for tag in ("1.0", "2.0", "2")],
    )
    await ask("ListImages", repositoryName="app")
    await ask("DeleteRepository", repositoryName="app")
    await ask("GetAuthorizationToken")

    assert checked.asked == set(OPERATIONS)
    assert checked.codes == {
        "EmptyUploadException",
        "ImageAlreadyExistsException",
        "ImageDigestDoesNotMatchException",
        "ImageNotFoundException",
        "ImageTagAlreadyExistsException",
        "InvalidLayerException",
        "InvalidLayerPartException",
        "InvalidParameterException",
        "InvalidTagParameterException",
        "LayerAlreadyExistsException",
        "LayerInaccessibleException",
        "LayerPartTooSmallException",
        "LayersNotFoundException",
        "LifecyclePolicyNotFoundException",
        "ReferencedImagesNotFoundException",
        "RepositoryAlreadyExistsException",
        "RepositoryNotEmptyException",
        "RepositoryNotFoundException",
        "RepositoryPolicyNotFoundException",
        "TooManyTagsException",
        "UploadNotFoundException",
    }


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"layers": [{"layerAvailability": "SOMETIMES"}]}, "'SOMETIMES' breaks enum"),
        ({"layers": [{"layerDigest": "x"}]}, "'x' breaks pattern"),
        ({"layers": [{"layerSize": "7"}]}, "'7' is not of the type long"),
        ({"layers": [{"layerSize": True}]}, "True is not of the type long"),
        ({"layers": None}, "None is not of the type list"),
        ({"layers": [{"size": 7}]}, ".layers[].size is unknown"),
    ],
)
def test_these_checks_find_what_breaks_the_model(answer: dict[str, Any], problem: str) -> None:
    """A response that breaks the model has a problem."""
    found = problems(
        answer, service_model().operation_model("BatchCheckLayerAvailability").output_shape
    )
    assert [each for each in found if problem in each] == found != []
