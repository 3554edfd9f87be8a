"""Random walks through the API: steps, and a walker that takes them on one server.

The walker normalizes the responses so that a test can compare two servers.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from hypothesis import strategies as st

LAYERS = (b"one layer", b"another layer", b"{}")
ABSENT = "sha256:" + "0" * 64
OF_RESOURCES = {"tag_resource", "untag_resource", "list_tags_for_resource"}
# The id of an upload that does not exist.
UNKNOWN_UPLOAD = "00000000-0000-4000-8000-000000000000"


def digest_of(data: bytes) -> str:
    """Return the digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _manifest(*layers: bytes) -> str:
    rows = [
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": digest_of(each),
            "size": len(each),
        }
        for each in layers
    ]
    config = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest_of(LAYERS[2]),
        "size": 2,
    }

    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": rows,
        }
    )


MANIFESTS = (
    _manifest(LAYERS[0]),
    _manifest(*LAYERS[:2]),
    _manifest(LAYERS[1]),
    _manifest(b"never uploaded"),
)


def _lifecycle_policy(count: int) -> str:
    selection = {
        "tagStatus": "untagged",
        "countType": "imageCountMoreThan",
        "countNumber": count,
    }
    rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    return json.dumps({"rules": [rule]})


def _repository_policy(*actions: str) -> str:
    principal = {"AWS": "arn:aws:iam::123456789012:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": actions}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass(frozen=True)
class Step:
    """One request.

    `upload` is the number of the upload, `offset` the distance of its part from the right position.

    In `imageIds`, a number in place of a digest means the image of that manifest, with the digest
    that the server gave it.
    """

    operation: str
    repository: str
    members: dict[str, Any]
    upload: int | None = None
    offset: int = 0


@dataclass
class Walker:
    """Takes steps on one server, in repositories of its own.

    Uploads and images are identified by number.
    """

    client: Any
    prefix: str
    uploads: list[str] = field(default_factory=list[str])
    received: dict[str, int] = field(default_factory=dict[str, int])
    images: dict[str, str] = field(default_factory=dict[str, str])

    def take(self, step: Step) -> Any:
        """Take a step, and return the members of the response. `error` has the code of an error."""
        try:
            answer = dict(getattr(self.client, step.operation)(**self._request(step)))
        except ClientError as error:
            response: Any = error.response
            answer = {
                name: value for name, value in response.items() if name not in {"Error", "message"}
            } | {"error": response["Error"]["Code"]}
        except Exception as error:
            # moto runs in this process and raises one of these for what it does not expect.
            if type(error) not in {Exception, TypeError}:
                raise
            answer = {"error": "unexpected"}
        else:
            self._note(step, answer)

        answer.pop("ResponseMetadata", None)

        return self._normalized(answer)

    def _request(self, step: Step) -> dict[str, Any]:
        name = f"{self.prefix}/{step.repository}"
        if step.operation == "describe_repositories":
            return {"repositoryNames": [name]}

        if step.operation in OF_RESOURCES:
            arn = f"arn:aws:ecr:us-east-1:123456789012:repository/{name}"
            return {**step.members, "resourceArn": arn}

        request: dict[str, Any] = {**step.members, "repositoryName": name}
        if "imageIds" in request:
            asked: list[dict[str, Any]] = request["imageIds"]
            request["imageIds"] = [
                {
                    name: value if isinstance(value, str) else self._digest_of(value)
                    for name, value in each.items()
                }
                for each in asked
            ]
        if step.upload is not None:
            request["uploadId"] = (
                self.uploads[step.upload] if step.upload < len(self.uploads) else UNKNOWN_UPLOAD
            )
        if "layerPartBlob" in request:
            first = max(0, self.received.get(request["uploadId"], 0) + step.offset)
            request |= {
                "partFirstByte": first,
                "partLastByte": first + len(request["layerPartBlob"]) - 1,
            }

        return request

    def _digest_of(self, number: int) -> str:
        return next(
            (digest for digest, name in self.images.items() if name == f"image {number}"), ABSENT
        )

    def _note(self, step: Step, answer: dict[str, Any]) -> None:
        match step.operation:
            case "initiate_layer_upload":
                self.uploads.append(answer["uploadId"])
            case "upload_layer_part":
                self.received[answer["uploadId"]] = answer["lastByteReceived"] + 1
            case "put_image":
                self.images[answer["image"]["imageId"]["imageDigest"]] = (
                    f"image {MANIFESTS.index(step.members['imageManifest'])}"
                )
            case _:
                pass

    def _normalized(self, answer: Any) -> Any:
        """Return a response without random values and times, with its lists sorted.

        ECR promises no order of lists.
        """
        text = json.dumps(answer, default=lambda _: "a time").replace(self.prefix, "prefix")
        for number, upload in enumerate(self.uploads):
            text = text.replace(upload, f"upload {number}")
        for digest, name in self.images.items():
            text = text.replace(digest, name)
        return ordered(json.loads(text))


def ordered(value: Any) -> Any:
    """Return a JSON value with the items of its lists sorted."""
    if isinstance(value, list):
        items: list[Any] = [*value]
        return sorted(map(ordered, items), key=lambda each: json.dumps(each, sort_keys=True))
    if isinstance(value, dict):
        members: dict[str, Any] = {**value}
        return {name: ordered(each) for name, each in members.items()}
    return value


def pushed(data: bytes, number: int) -> list[Step]:
    """Return the steps that upload a layer, as the upload with this number."""
    return [
        Step("initiate_layer_upload", "app", {}),
        Step("upload_layer_part", "app", {"layerPartBlob": data}, upload=number),
        Step("complete_layer_upload", "app", {"layerDigests": [digest_of(data)]}, upload=number),
    ]


BEGIN = [
    Step("create_repository", "app", {}),
    *(step for number, data in enumerate(LAYERS) for step in pushed(data, number)),
]

_tags = st.sampled_from(["1.0", "latest"])
_numbers = st.sampled_from(range(len(MANIFESTS)))
_id = st.one_of(
    _tags.map(lambda tag: {"imageTag": tag}), _numbers.map(lambda number: {"imageDigest": number})
)
_ids = st.lists(_id, min_size=1, max_size=2, unique_by=str)
_digests = st.lists(
    st.sampled_from([*map(digest_of, LAYERS), ABSENT, "nonsense"]),
    min_size=1,
    max_size=4,
    unique=True,
)
_images = st.fixed_dictionaries(
    {"imageManifest": st.sampled_from([*MANIFESTS[:3] * 4, MANIFESTS[3]])},
    optional={"imageTag": _tags},
)
# The last completed upload, some that may have begun, and one that rarely has.
_uploads = st.sampled_from([2, 3, 3, 3, 4, 5])
_parts = st.sampled_from(LAYERS).map(lambda data: {"layerPartBlob": data})

IMMUTABLE_WITH_EXCLUSION = {
    "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
    "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "lat*"}],
}
_mutabilities: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"imageTagMutability": "MUTABLE"},
        {"imageTagMutability": "IMMUTABLE"},
        IMMUTABLE_WITH_EXCLUSION,
    ]
)
_keys = st.sampled_from(["team", "cost", "env"])

_MEMBERS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "batch_check_layer_availability": st.builds(dict[str, Any], layerDigests=_digests),
    "batch_delete_image": st.builds(dict[str, Any], imageIds=_ids),
    "batch_get_image": st.builds(dict[str, Any], imageIds=_ids),
    "complete_layer_upload": st.sampled_from(LAYERS).map(
        lambda data: {"layerDigests": [digest_of(data)]}
    ),
    "delete_lifecycle_policy": st.just({}),
    "delete_repository_policy": st.just({}),
    "get_lifecycle_policy": st.just({}),
    "get_repository_policy": st.just({}),
    "list_tags_for_resource": st.just({}),
    "put_image_scanning_configuration": st.booleans().map(
        lambda on: {"imageScanningConfiguration": {"scanOnPush": on}}
    ),
    "put_image_tag_mutability": _mutabilities,
    "put_lifecycle_policy": st.sampled_from([0, 1, 30]).map(
        lambda count: {"lifecyclePolicyText": _lifecycle_policy(count)}
    ),
    "set_repository_policy": st.sampled_from([["ecr:PutImage"], ["ecr:*", "ecr:PutImage"]]).map(
        lambda actions: {"policyText": _repository_policy(*actions)}
    ),
    "tag_resource": st.lists(_keys, min_size=1, unique=True).map(
        lambda keys: {"tags": [{"Key": key, "Value": f"of {len(keys)}"} for key in keys]}
    ),
    "untag_resource": st.lists(_keys, min_size=1).map(lambda keys: {"tagKeys": keys}),
    "create_repository": st.sampled_from([{}, {"imageTagMutability": "IMMUTABLE"}]),
    "delete_repository": st.sampled_from([{"force": False}, {}, {"force": False}, {"force": True}]),
    "describe_images": st.one_of(
        st.builds(dict[str, Any]), st.builds(dict[str, Any], imageIds=_ids)
    ),
    "describe_repositories": st.just({}),
    "initiate_layer_upload": st.just({}),
    "list_images": st.sampled_from(
        [{}, {"filter": {"tagStatus": "TAGGED"}}, {"filter": {"tagStatus": "UNTAGGED"}}]
    ),
    "put_image": _images,
    "upload_layer_part": _parts,
}
_OFTEN = ("put_image", "upload_layer_part", "initiate_layer_upload", "complete_layer_upload")


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Draw a step."""
    operation = draw(st.sampled_from([*_MEMBERS, *_OFTEN]))
    repository = draw(st.sampled_from([*["app"] * 7, "team/app"]))
    members = draw(_MEMBERS[operation])
    if operation not in {"upload_layer_part", "complete_layer_upload"}:
        return Step(operation, repository, members)
    return Step(
        operation, repository, members, draw(_uploads), draw(st.sampled_from([0, 0, 0, 1, -1]))
    )
