"""moto as a second opinion: its layer tests as facts, and random walks on both servers.

Each known difference has its reason.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ecr_layer_client.local import LocalECR
from local.moto_steps import (
    ABSENT,
    BEGIN,
    IMMUTABLE_WITH_EXCLUSION,
    LAYERS,
    MANIFESTS,
    Step,
    Walker,
    digest_of,
    ordered,
    pushed,
    steps,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytest.importorskip("moto", reason="needs moto")

Reconcile = Callable[[Any, Any], tuple[Any, Any]]
ALIKE: tuple[dict[str, Any], dict[str, Any]] = {}, {}


@dataclass(frozen=True)
class Known:
    """A known difference: its reason, its operation, how to remove it, and steps that show it.

    `parts_them` means that the two servers have different contents from there on.
    """

    reason: str
    operation: str
    reconcile: Reconcile
    shown_by: tuple[Step, ...]
    parts_them: bool = False


def without(*names: str) -> Reconcile:
    """Remove members from both responses, wherever they are."""

    def strip(value: Any) -> Any:
        if isinstance(value, list):
            items: list[Any] = [*value]
            return [strip(each) for each in items]
        if isinstance(value, dict):
            members: dict[str, Any] = {**value}
            return {name: strip(each) for name, each in members.items() if name not in names}
        return value

    return lambda ours, theirs: (strip(ours), strip(theirs))


def where(ours: str | None, theirs: str | None) -> Reconcile:
    """Ignore two responses with these errors, None being no error."""
    return lambda mine, others: (
        ALIKE if (mine.get("error"), others.get("error")) == (ours, theirs) else (mine, others)
    )


def absent_as_rows(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Turn failures of absent layers into rows."""
    if "failures" not in theirs:
        return ours, theirs

    absent = [
        each["layerDigest"]
        for each in theirs["failures"]
        if each["failureCode"] == "MissingLayerDigest"
    ]
    rows = [{"layerDigest": digest, "layerAvailability": "UNAVAILABLE"} for digest in absent]
    failures = [each for each in theirs["failures"] if each["failureCode"] != "MissingLayerDigest"]

    return ours, {"layers": sorted([*theirs["layers"], *rows], key=str), "failures": failures}


def without_nothing_received(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Remove the last valid byte -1 from moto's response."""
    return ours, {
        name: value
        for name, value in theirs.items()
        if (name, value) != ("lastValidByteReceived", -1)
    }


def each_image_once(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Remove the tags of images, and keep each image once.

    Of the failures, keep only whether there are any.
    """

    def untold(answer: dict[str, Any]) -> dict[str, Any]:
        rows: list[Any] = answer.get("images", [])
        images = {str(row): row for row in rows}
        return {**answer, "images": [*images.values()], "failures": bool(answer.get("failures"))}

    ours, theirs = without("imageTag")(ours, theirs)
    return untold(ours), untold(theirs)


def without_untagged(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Remove the untagged images from both responses."""

    def tagged(answer: Any) -> Any:
        return {
            name: [row for row in rows if row.keys() & {"imageTag", "imageTags"}]
            if name in {"imageIds", "imageDetails"}
            else rows
            for name, rows in answer.items()
        }

    return tagged(ours), tagged(theirs)


def _check(*digests: str) -> Step:
    return Step("batch_check_layer_availability", "app", {"layerDigests": [*digests]})


def _put(number: int, tag: str | None = None, repository: str = "app") -> Step:
    return Step(
        "put_image",
        repository,
        {"imageManifest": MANIFESTS[number]} | ({} if tag is None else {"imageTag": tag}),
    )


def _part(offset: int = 0) -> Step:
    return Step("upload_layer_part", "app", {"layerPartBlob": LAYERS[0]}, 3, offset)


def _complete(data: bytes) -> Step:
    return Step("complete_layer_upload", "app", {"layerDigests": [digest_of(data)]}, 3)


INITIATE = Step("initiate_layer_upload", "app", {})
LIST = Step("list_images", "app", {})
IMMUTABLE = {"imageTagMutability": "IMMUTABLE"}
BY_DIGEST = {"imageIds": [{"imageDigest": 0}]}

KNOWN = [
    Known(
        "an absent layer is a failure in moto, as in other emulators",
        "batch_check_layer_availability",
        absent_as_rows,
        (_check(ABSENT),),
    ),
    Known(
        "moto has one media type for all layers",
        "batch_check_layer_availability",
        without("mediaType"),
        (_put(0), _check(digest_of(LAYERS[0]))),
    ),
    Known("moto uses other words", "", without("failureReason"), (_check("nonsense"),)),
    Known(
        "moto gives -1 as the last byte before the first part",
        "upload_layer_part",
        without_nothing_received,
        (INITIATE, _part(1)),
    ),
    Known(
        "moto does not check the digest that completes an upload",
        "complete_layer_upload",
        where("InvalidLayerException", None),
        (INITIATE, _part(), _complete(LAYERS[1])),
        parts_them=True,
    ),
    Known(
        "moto completes an empty upload",
        "complete_layer_upload",
        where("EmptyUploadException", None),
        (INITIATE, _complete(LAYERS[0])),
        parts_them=True,
    ),
    Known(
        "moto completes an upload with small parts",
        "complete_layer_upload",
        where("LayerPartTooSmallException", None),
        (INITIATE, _part(), _part(), _complete(2 * LAYERS[0])),
        parts_them=True,
    ),
    Known(
        "moto accepts a layer that exists already",
        "complete_layer_upload",
        where("LayerAlreadyExistsException", None),
        (INITIATE, _part(), _complete(LAYERS[0])),
        parts_them=True,
    ),
    Known(
        "moto does not expect an unknown repository",
        "put_image",
        where("RepositoryNotFoundException", "unexpected"),
        (_put(0, repository="team/app"),),
    ),
    Known(
        "moto accepts images whose layers are missing",
        "put_image",
        where("LayersNotFoundException", None),
        (_put(3),),
        parts_them=True,
    ),
    Known(
        "moto accepts an image that exists already, if the request has no tag",
        "put_image",
        where("ImageAlreadyExistsException", None),
        (_put(0), _put(0)),
        parts_them=True,
    ),
    Known(
        "moto returns neither status nor artifact type, and sizes without layers",
        "describe_images",
        without("imageStatus", "artifactMediaType", "imageSizeInBytes"),
        (_put(0), Step("describe_images", "app", {})),
    ),
    Known(
        "moto does not return the filters that it sets",
        "put_image_tag_mutability",
        without("imageTagMutabilityExclusionFilters"),
        (Step("put_image_tag_mutability", "app", IMMUTABLE_WITH_EXCLUSION),),
    ),
    Known(
        "moto does not expect an image without a tag beside filters for tags",
        "put_image",
        where(None, "unexpected"),
        (Step("put_image_tag_mutability", "app", IMMUTABLE_WITH_EXCLUSION), _put(0)),
        parts_them=True,
    ),
    Known(
        "moto has the code of an image that exists for an immutable tag of another image",
        "put_image",
        where("ImageTagAlreadyExistsException", "ImageAlreadyExistsException"),
        (_put(0, "1.0"), Step("put_image_tag_mutability", "app", IMMUTABLE), _put(1, "1.0")),
    ),
    Known(
        "moto does not record the time of a pull",
        "describe_images",
        without("lastRecordedPullTime"),
        (
            _put(0),
            Step("batch_get_image", "app", BY_DIGEST),
            Step("describe_images", "app", {}),
        ),
    ),
    Known(
        (
            "moto returns an image once for each id, with its last tag, and does not say which "
            "digest is missing"
        ),
        "batch_get_image",
        each_image_once,
        (_put(0, "1.0"), _put(0, "latest"), Step("batch_get_image", "app", BY_DIGEST)),
    ),
    Known(
        "moto does not report that it deleted an untagged image",
        "batch_delete_image",
        without_untagged,
        (_put(0), Step("batch_delete_image", "app", BY_DIGEST)),
    ),
]


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[str, Any]]:
    """Provide boto3's clients of a local ECR, and of moto in this process."""
    # boto3 and moto have no types.
    boto3: Any = importlib.import_module("boto3")
    moto: Any = importlib.import_module("moto")
    config = Config(retries={"total_max_attempts": 1})
    keys = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}

    with LocalECR() as ecr, moto.mock_aws():
        yield {
            "local": boto3.session.Session().client("ecr", **ecr.client_kwargs, config=config),
            "moto": boto3.session.Session().client("ecr", **keys, config=config),
        }


# -- random walks

UNHURRIED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
walks = st.lists(steps(), min_size=10, max_size=30)
_walked: list[None] = []


def differences(clients: dict[str, Any], walk: Sequence[Step]) -> tuple[list[Any], list[Known]]:
    """Take a walk on both servers, and return the first unknown difference and the known ones.

    The walk ends where moto deletes an image and ECR does not: an image that loses its last tag to
    another one.
    """
    _walked.append(None)
    local, moto = (Walker(clients[name], f"walk{len(_walked)}") for name in ("local", "moto"))
    met: list[Known] = []

    for step in [*BEGIN, *walk]:
        untagged = _untagged(local, step)
        ours, theirs = local.take(step), moto.take(step)
        for known in KNOWN:
            if ours != theirs and known.operation in {"", step.operation}:
                alike = tuple(map(ordered, known.reconcile(ours, theirs)))
                met += [known] if alike != (ours, theirs) else []
                ours, theirs = alike
        if ours != theirs:
            return [step, ours, theirs], met
        if any(known.parts_them for known in met) or any(
            each not in untagged for each in _untagged(local, step)
        ):
            break

    return [], met


def _untagged(walker: Walker, step: Step) -> list[Any]:
    """Return the untagged images, where a step puts an image with a tag."""
    if step.operation != "put_image" or "imageTag" not in step.members:
        return []
    answer: dict[str, Any] = walker.take(
        Step("list_images", step.repository, {"filter": {"tagStatus": "UNTAGGED"}})
    )
    return list(answer.get("imageIds", []))


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.operation}: {known.reason}")
def test_each_known_difference_exists(clients: dict[str, Any], known: Known) -> None:
    """The steps of a known difference show it, so that a difference fixed in moto is noticed."""
    found, met = differences(clients, known.shown_by)
    assert (found, known in met) == ([], True)


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=UNHURRIED,
)
@given(walk=walks)
def test_a_walk_meets_only_known_differences(clients: dict[str, Any], walk: list[Step]) -> None:
    """In a random walk, moto and the local ECR respond alike, except for the known differences."""
    assert differences(clients, walk)[0] == []


@pytest.mark.full
@pytest.mark.timeout(900)
@settings(
    max_examples=1_000,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=UNHURRIED,
)
@given(walk=walks)
def test_many_walks_meet_only_known_differences(clients: dict[str, Any], walk: list[Step]) -> None:
    """1,000 walks, others each time, meet only known differences.

    A failure shows the shortest walk, and how to repeat it.
    """
    assert differences(clients, walk)[0] == []


def test_an_image_that_loses_its_last_tag(walkers: dict[str, Walker]) -> None:
    """An image whose only tag moves stays untagged in ECR, and moto deletes it."""
    answers = responses(walkers, *BEGIN[1:], _put(0, "1.0"), _put(1, "1.0"), LIST)
    tagged = {"imageDigest": "image 1", "imageTag": "1.0"}
    assert answers == {
        "local": {"imageIds": [{"imageDigest": "image 0"}, tagged]},
        "moto": {"imageIds": [tagged]},
    }


def test_the_media_types_that_are_accepted(walkers: dict[str, Walker]) -> None:
    """ECR does not return an image whose media type is not accepted (assumed: not found).

    moto returns it.
    """
    step = Step(
        "batch_get_image",
        "app",
        {"imageIds": [{"imageTag": "1.0"}], "acceptedMediaTypes": ["text/plain"]},
    )
    answers = responses(walkers, *BEGIN[1:], _put(0, "1.0"), step)

    assert {name: len(answer["images"]) for name, answer in answers.items()} == {
        "local": 0,
        "moto": 1,
    }


# -- moto's own tests of layers, as facts


@pytest.fixture
def walkers(clients: dict[str, Any]) -> dict[str, Walker]:
    """Provide both servers, each with a new empty repository `app`."""
    _walked.append(None)
    both = {name: Walker(client, f"facts{len(_walked)}") for name, client in clients.items()}
    for walker in both.values():
        walker.take(Step("create_repository", "app", {}))
    return both


def responses(walkers: dict[str, Walker], *walk: Step) -> dict[str, Any]:
    """Return the response of each server to the last of some steps."""
    return {name: [walker.take(step) for step in walk][-1] for name, walker in walkers.items()}


def both(answer: Any) -> dict[str, Any]:
    """Return what is expected where moto responds as ECR does."""
    return {"local": answer, "moto": answer}


IDENTITY = {"registryId": "123456789012", "repositoryName": "prefix/app", "uploadId": "upload 0"}
ONE = digest_of(LAYERS[0])


def test_an_uploaded_layer_is_available(walkers: dict[str, Walker]) -> None:
    """A layer of one part is available, with its size, once its upload is complete."""
    assert responses(walkers, *pushed(LAYERS[0], 0)) == both({**IDENTITY, "layerDigest": ONE})
    row = {
        "layerDigest": ONE,
        "layerAvailability": "AVAILABLE",
        "layerSize": 9,
        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    }

    assert responses(
        walkers, Step("batch_check_layer_availability", "app", {"layerDigests": [ONE]})
    ) == both({"layers": [row], "failures": []})


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("upload_layer_part", {"layerPartBlob": b"xx"}),
        ("complete_layer_upload", {"layerDigests": [ABSENT]}),
    ],
    ids=["part", "complete"],
)
def test_an_upload_that_nobody_began(
    walkers: dict[str, Walker], operation: str, members: dict[str, Any]
) -> None:
    """An unknown upload is not found.

    An id that breaks the model's pattern is another error in ECR, and the same one in moto.
    """
    assert responses(walkers, Step(operation, "app", members, upload=0)) == both(
        {"error": "UploadNotFoundException"}
    )
    for walker in walkers.values():
        walker.uploads.append("does-not-exist")

    answers = responses(walkers, Step(operation, "app", members, upload=0))
    assert answers == {
        "local": {"error": "InvalidParameterException"},
        "moto": {"error": "UploadNotFoundException"},
    }
