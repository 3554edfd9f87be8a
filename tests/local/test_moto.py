"""moto as a second opinion: its own layer tests as facts, and random walks on both, where each known difference has its reason."""

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
from local.moto_steps import ABSENT, BEGIN, LAYERS, Step, Walker, digest_of, ordered, pushed, steps

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("moto", reason="needs moto")

Mend = Callable[[Any, Any], tuple[Any, Any]]
ALIKE: tuple[dict[str, Any], dict[str, Any]] = {}, {}


@dataclass(frozen=True)
class Known:
    """A known difference: on which operation, how to see past it, and whether the two servers hold different things from there on."""

    reason: str
    operation: str
    mend: Mend
    parts_them: bool = False


def without(*names: str) -> Mend:
    """Leave members out of both answers, wherever they stand."""

    def strip(value: Any) -> Any:
        if isinstance(value, list):
            items: list[Any] = [*value]
            return [strip(each) for each in items]
        if isinstance(value, dict):
            members: dict[str, Any] = {**value}
            return {name: strip(each) for name, each in members.items() if name not in names}
        return value

    return lambda ours, theirs: (strip(ours), strip(theirs))


def where(ours: str | None, theirs: str | None) -> Mend:
    """See past two answers with these errors, None being no error."""
    return lambda mine, others: ALIKE if (mine.get("error"), others.get("error")) == (ours, theirs) else (mine, others)


def absent_as_rows(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Turn failures of absent layers into rows."""
    if "failures" not in theirs:
        return ours, theirs
    absent = [each["layerDigest"] for each in theirs["failures"] if each["failureCode"] == "MissingLayerDigest"]
    rows = [{"layerDigest": digest, "layerAvailability": "UNAVAILABLE"} for digest in absent]
    failures = [each for each in theirs["failures"] if each["failureCode"] != "MissingLayerDigest"]
    return ours, {"layers": sorted([*theirs["layers"], *rows], key=str), "failures": failures}


def without_nothing_received(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Leave the last byte of nothing out of their answer."""
    return ours, {name: value for name, value in theirs.items() if (name, value) != ("lastValidByteReceived", -1)}


def without_other_tags(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Leave the tag out by which an image with several is answered."""
    return without("imageTag")(ours, theirs)


def without_untagged(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Leave out of our answer the images without a tag, and of theirs, too."""

    def tagged(answer: Any) -> Any:
        return {
            name: [row for row in rows if row.keys() & {"imageTag", "imageTags"}] if name in {"imageIds", "imageDetails"} else rows
            for name, rows in answer.items()
        }

    return tagged(ours), tagged(theirs)


KNOWN = [
    Known("an absent layer is a failure to moto, as to other emulators", "batch_check_layer_availability", absent_as_rows),
    Known("moto has one media type for all layers", "batch_check_layer_availability", without("mediaType")),
    Known("moto has other words", "", without("failureReason")),
    Known("moto names -1 as the last byte of nothing", "upload_layer_part", without_nothing_received),
    Known(
        "moto does not look at the digest that completes an upload",
        "complete_layer_upload",
        where("InvalidLayerException", None),
        parts_them=True,
    ),
    Known("moto completes an empty upload", "complete_layer_upload", where("EmptyUploadException", None), parts_them=True),
    Known("moto completes an upload with small parts", "complete_layer_upload", where("LayerPartTooSmallException", None), parts_them=True),
    Known("moto takes a layer that it holds again", "complete_layer_upload", where("LayerAlreadyExistsException", None), parts_them=True),
    Known("moto does not foresee an unknown repository", "put_image", where("RepositoryNotFoundException", "unforeseen")),
    Known("moto takes images whose layers are missing", "put_image", where("LayersNotFoundException", None), parts_them=True),
    Known(
        "moto takes an image that it holds again, if no tag comes with it",
        "put_image",
        where("ImageAlreadyExistsException", None),
        parts_them=True,
    ),
    Known(
        "moto tells neither status nor artifact type, and sizes without layers",
        "describe_images",
        without("imageStatus", "artifactMediaType", "imageSizeInBytes"),
    ),
    Known("moto answers an image under another of its tags", "batch_get_image", without_other_tags),
    Known("moto deletes an image that loses its last tag to another", "list_images", without_untagged, parts_them=True),
    Known("moto deletes an image that loses its last tag to another", "describe_images", without_untagged, parts_them=True),
]


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[str, Any]]:
    """Give boto3's clients of a local ECR, and of moto in this process."""
    boto3: Any = importlib.import_module("boto3")  # they have no types
    moto: Any = importlib.import_module("moto")
    config = Config(retries={"total_max_attempts": 1})
    keys = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}
    with LocalECR() as ecr, moto.mock_aws():
        yield {
            "local": boto3.session.Session().client("ecr", **ecr.client_kwargs, config=config),
            "moto": boto3.session.Session().client("ecr", **keys, config=config),
        }


# -- random walks -----------------------------------------------------------------------------------------------------

UNHURRIED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
walks = st.lists(steps(), min_size=10, max_size=30)
_walked: list[None] = []


def unforeseen(clients: dict[str, Any], walk: list[Step]) -> tuple[list[Any], set[str]]:
    """Take a walk on both servers, and return the first pair of answers that differ for no known reason, and the reasons met."""
    _walked.append(None)
    local, moto = (Walker(clients[name], f"walk{len(_walked)}") for name in ("local", "moto"))
    reasons: set[str] = set()
    for step in [*BEGIN, *walk]:
        ours, theirs = local.take(step), moto.take(step)
        parted = False
        for known in KNOWN:
            if ours != theirs and known.operation in {"", step.operation}:
                mended = tuple(map(ordered, known.mend(ours, theirs)))
                if mended != (ours, theirs):
                    reasons.add(known.reason)
                    parted |= known.parts_them
                ours, theirs = mended
        if ours != theirs:
            return [step, ours, theirs], reasons
        if parted:
            break
    return [], reasons


@settings(max_examples=6, deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=UNHURRIED)
@given(walk=walks)
def test_a_walk_meets_known_differences_alone(clients: dict[str, Any], walk: list[Step]) -> None:
    """Whatever is asked, in whatever order, moto and the local ECR answer alike, but for the differences on the list."""
    assert unforeseen(clients, walk)[0] == []


@pytest.fixture
def walkers(clients: dict[str, Any]) -> dict[str, Walker]:
    """Give both servers, each with a new empty repository `app`."""
    _walked.append(None)
    both = {name: Walker(client, f"facts{len(_walked)}") for name, client in clients.items()}
    for walker in both.values():
        walker.take(Step("create_repository", "app", {}))
    return both


def told(walkers: dict[str, Walker], *walk: Step) -> dict[str, Any]:
    """Return what each server answers to the last of some steps."""
    return {name: [walker.take(step) for step in walk][-1] for name, walker in walkers.items()}


def both(answer: Any) -> dict[str, Any]:
    """Return what is expected where moto answers as ECR does."""
    return {"local": answer, "moto": answer}


IDENTITY = {"registryId": "123456789012", "repositoryName": "prefix/app", "uploadId": "upload 0"}
ONE = digest_of(LAYERS[0])


def test_an_uploaded_layer_is_available(walkers: dict[str, Walker]) -> None:
    """A layer of one part is there, with its size, once its upload is complete."""
    assert told(walkers, *pushed(LAYERS[0], 0)) == both({**IDENTITY, "layerDigest": ONE})
    row = {
        "layerDigest": ONE,
        "layerAvailability": "AVAILABLE",
        "layerSize": 9,
        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    }
    assert told(walkers, Step("batch_check_layer_availability", "app", {"layerDigests": [ONE]})) == both({"layers": [row], "failures": []})


def test_parts_of_a_layer_follow_each_other(walkers: dict[str, Walker]) -> None:
    """The second part is received to its end. Completing: moto takes parts of any size, ECR none below 5 MiB but the last."""
    initiate, first, _ = pushed(b"first-part-", 0)
    second = Step("upload_layer_part", "app", {"layerPartBlob": b"second-part"}, upload=0)
    assert told(walkers, initiate, first, second) == both({**IDENTITY, "lastByteReceived": 21})
    whole = digest_of(b"first-part-second-part")
    answers = {"local": {"error": "LayerPartTooSmallException"}, "moto": {**IDENTITY, "layerDigest": whole}}
    assert told(walkers, Step("complete_layer_upload", "app", {"layerDigests": [whole]}, upload=0)) == answers


def test_a_layer_that_is_not_there(walkers: dict[str, Walker]) -> None:
    """To ECR an absent layer is a row, to moto a failure; a malformed digest is a failure to both."""
    answers = told(walkers, Step("batch_check_layer_availability", "app", {"layerDigests": [ABSENT, "not-a-valid-digest"]}))
    rows = {name: [row["layerAvailability"] for row in answer["layers"]] for name, answer in answers.items()}
    failures = {name: sorted(each["failureCode"] for each in answer["failures"]) for name, answer in answers.items()}
    assert rows == {"local": ["UNAVAILABLE"], "moto": []}
    assert failures == {"local": ["InvalidLayerDigest"], "moto": ["InvalidLayerDigest", "MissingLayerDigest"]}


@pytest.mark.parametrize(
    ("operation", "members"),
    [("upload_layer_part", {"layerPartBlob": b"xx"}), ("complete_layer_upload", {"layerDigests": [ABSENT]})],
    ids=["part", "complete"],
)
def test_an_upload_that_nobody_began(walkers: dict[str, Walker], operation: str, members: dict[str, Any]) -> None:
    """An unknown upload is not found; an id that breaks the service model's pattern is another error to ECR, and the same to moto."""
    assert told(walkers, Step(operation, "app", members, upload=0)) == both({"error": "UploadNotFoundException"})
    for walker in walkers.values():
        walker.uploads.append("does-not-exist")
    answers = told(walkers, Step(operation, "app", members, upload=0))
    assert answers == {"local": {"error": "InvalidParameterException"}, "moto": {"error": "UploadNotFoundException"}}


def test_a_part_that_leaves_a_gap(walkers: dict[str, Walker]) -> None:
    """It is refused with the last byte received, the part that belongs there is taken, and the whole has its digest."""
    initiate, first, complete = pushed(b"AAAABBBB", 0)
    first = Step(first.operation, "app", {"layerPartBlob": b"AAAA"}, upload=0)
    gap = Step(first.operation, "app", {"layerPartBlob": b"BBBB"}, upload=0, offset=4)
    refused = {**IDENTITY, "lastValidByteReceived": 3, "error": "InvalidLayerPartException"}
    assert told(walkers, initiate, first, gap) == both(refused)
    second = Step(first.operation, "app", {"layerPartBlob": b"BBBB"}, upload=0)
    assert told(walkers, second) == both({**IDENTITY, "lastByteReceived": 7})
    answers = {"local": {"error": "LayerPartTooSmallException"}, "moto": {**IDENTITY, "layerDigest": digest_of(b"AAAABBBB")}}
    assert told(walkers, complete) == answers


def test_an_upload_to_no_repository(walkers: dict[str, Walker]) -> None:
    """A repository that does not exist takes no upload."""
    assert told(walkers, Step("initiate_layer_upload", "none", {})) == both({"error": "RepositoryNotFoundException"})
