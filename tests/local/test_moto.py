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
from local.moto_steps import (
    ABSENT,
    BEGIN,
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

Mend = Callable[[Any, Any], tuple[Any, Any]]
ALIKE: tuple[dict[str, Any], dict[str, Any]] = {}, {}


@dataclass(frozen=True)
class Known:
    """A known difference: on which operation, how to see past it, and the steps that show it.

    `parts_them` says that the two servers hold different things from there on.
    """

    reason: str
    operation: str
    mend: Mend
    shown_by: tuple[Step, ...]
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
    """Leave the last byte of nothing out of their answer."""
    return ours, {
        name: value
        for name, value in theirs.items()
        if (name, value) != ("lastValidByteReceived", -1)
    }


def told_once(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Leave out by which tag an image is answered, and tell each image once.

    Of what is not found, tell only that there is something.
    """

    def untold(answer: dict[str, Any]) -> dict[str, Any]:
        rows: list[Any] = answer.get("images", [])
        images = {str(row): row for row in rows}
        return {**answer, "images": [*images.values()], "failures": bool(answer.get("failures"))}

    ours, theirs = without("imageTag")(ours, theirs)
    return untold(ours), untold(theirs)


def without_untagged(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Leave the images without a tag out of both answers."""

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
BY_DIGEST = {"imageIds": [{"imageDigest": 0}]}

KNOWN = [
    Known(
        "an absent layer is a failure to moto, as to others like it",
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
    Known("moto has other words", "", without("failureReason"), (_check("nonsense"),)),
    Known(
        "moto names -1 as the last byte of nothing",
        "upload_layer_part",
        without_nothing_received,
        (INITIATE, _part(1)),
    ),
    Known(
        "moto does not look at the digest that completes an upload",
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
        "moto takes a layer that it holds again",
        "complete_layer_upload",
        where("LayerAlreadyExistsException", None),
        (INITIATE, _part(), _complete(LAYERS[0])),
        parts_them=True,
    ),
    Known(
        "moto does not foresee an unknown repository",
        "put_image",
        where("RepositoryNotFoundException", "unforeseen"),
        (_put(0, repository="team/app"),),
    ),
    Known(
        "moto takes images whose layers are missing",
        "put_image",
        where("LayersNotFoundException", None),
        (_put(3),),
        parts_them=True,
    ),
    Known(
        "moto takes an image that it holds again, if no tag comes with it",
        "put_image",
        where("ImageAlreadyExistsException", None),
        (_put(0), _put(0)),
        parts_them=True,
    ),
    Known(
        "moto tells neither status nor artifact type, and sizes without layers",
        "describe_images",
        without("imageStatus", "artifactMediaType", "imageSizeInBytes"),
        (_put(0), Step("describe_images", "app", {})),
    ),
    Known(
        "moto answers an image once for each id, by its last tag, and does not say which digest is not there",
        "batch_get_image",
        told_once,
        (_put(0, "1.0"), _put(0, "latest"), Step("batch_get_image", "app", BY_DIGEST)),
    ),
    Known(
        "moto does not tell that it deleted an image without a tag",
        "batch_delete_image",
        without_untagged,
        (_put(0), Step("batch_delete_image", "app", BY_DIGEST)),
    ),
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


# -- walks
# ------------------------------------------------------------------------------------------------------------

UNHURRIED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
walks = st.lists(steps(), min_size=10, max_size=30)
_walked: list[None] = []


def unforeseen(clients: dict[str, Any], walk: Sequence[Step]) -> tuple[list[Any], list[Known]]:
    """Take a walk on both servers, and return the first pair of answers that differ for no known reason, and the differences met.

    It ends where moto deletes an image and ECR does not: the one that loses its last tag to
    another.
    """
    _walked.append(None)
    local, moto = (Walker(clients[name], f"walk{len(_walked)}") for name in ("local", "moto"))
    met: list[Known] = []
    for step in [*BEGIN, *walk]:
        untagged = _untagged(local, step)
        ours, theirs = local.take(step), moto.take(step)
        for known in KNOWN:
            if ours != theirs and known.operation in {"", step.operation}:
                mended = tuple(map(ordered, known.mend(ours, theirs)))
                met += [known] if mended != (ours, theirs) else []
                ours, theirs = mended
        if ours != theirs:
            return [step, ours, theirs], met
        if any(known.parts_them for known in met) or any(
            each not in untagged for each in _untagged(local, step)
        ):
            break
    return [], met


def _untagged(walker: Walker, step: Step) -> list[Any]:
    """Return the images without a tag, where a step puts one with a tag."""
    if step.operation != "put_image" or "imageTag" not in step.members:
        return []
    answer: dict[str, Any] = walker.take(
        Step("list_images", step.repository, {"filter": {"tagStatus": "UNTAGGED"}})
    )
    return list(answer.get("imageIds", []))


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.operation}: {known.reason}")
def test_each_known_difference_is_there(clients: dict[str, Any], known: Known) -> None:
    """The steps that show a difference show it: what moto mends goes from the list."""
    found, met = unforeseen(clients, known.shown_by)
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
def test_a_walk_meets_known_differences_alone(clients: dict[str, Any], walk: list[Step]) -> None:
    """Whatever is asked, in whatever order, moto and the local ECR answer alike, but for the differences on the list."""
    assert unforeseen(clients, walk)[0] == []


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
def test_long_walks_meet_known_differences_alone(clients: dict[str, Any], walk: list[Step]) -> None:
    """So it is in 1,000 walks, others each time.

    One that fails is told at its shortest, with what repeats it.
    """
    assert unforeseen(clients, walk)[0] == []


def test_an_image_that_loses_its_last_tag(walkers: dict[str, Walker]) -> None:
    """ECR keeps an image whose only tag goes to another, without a tag; moto deletes it."""
    answers = told(walkers, *BEGIN[1:], _put(0, "1.0"), _put(1, "1.0"), LIST)
    tagged = {"imageDigest": "image 1", "imageTag": "1.0"}
    assert answers == {
        "local": {"imageIds": [{"imageDigest": "image 0"}, tagged]},
        "moto": {"imageIds": [tagged]},
    }


def test_the_media_types_that_are_accepted(walkers: dict[str, Walker]) -> None:
    """ECR does not answer an image of another media type than those accepted (assumed: not found).

    Moto does.
    """
    step = Step(
        "batch_get_image",
        "app",
        {"imageIds": [{"imageTag": "1.0"}], "acceptedMediaTypes": ["text/plain"]},
    )
    answers = told(walkers, *BEGIN[1:], _put(0, "1.0"), step)
    assert {name: len(answer["images"]) for name, answer in answers.items()} == {
        "local": 0,
        "moto": 1,
    }


# -- moto's own tests of layers, as facts
# -----------------------------------------------------------------------------


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
    assert told(
        walkers, Step("batch_check_layer_availability", "app", {"layerDigests": [ONE]})
    ) == both({"layers": [row], "failures": []})


def test_parts_of_a_layer_follow_each_other(walkers: dict[str, Walker]) -> None:
    """The second part is received to its end.

    Completing: moto takes parts of any size, ECR none below 5 MiB but the last.
    """
    initiate, first, _ = pushed(b"first-part-", 0)
    second = Step("upload_layer_part", "app", {"layerPartBlob": b"second-part"}, upload=0)
    assert told(walkers, initiate, first, second) == both({**IDENTITY, "lastByteReceived": 21})
    whole = digest_of(b"first-part-second-part")
    answers = {
        "local": {"error": "LayerPartTooSmallException"},
        "moto": {**IDENTITY, "layerDigest": whole},
    }
    assert (
        told(walkers, Step("complete_layer_upload", "app", {"layerDigests": [whole]}, upload=0))
        == answers
    )


def test_a_layer_that_is_not_there(walkers: dict[str, Walker]) -> None:
    """To ECR an absent layer is a row, to moto a failure.

    A malformed digest is a failure to both.
    """
    answers = told(
        walkers,
        Step(
            "batch_check_layer_availability",
            "app",
            {"layerDigests": [ABSENT, "not-a-valid-digest"]},
        ),
    )
    rows = {
        name: [row["layerAvailability"] for row in answer["layers"]]
        for name, answer in answers.items()
    }
    failures = {
        name: sorted(each["failureCode"] for each in answer["failures"])
        for name, answer in answers.items()
    }
    assert rows == {"local": ["UNAVAILABLE"], "moto": []}
    assert failures == {
        "local": ["InvalidLayerDigest"],
        "moto": ["InvalidLayerDigest", "MissingLayerDigest"],
    }


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

    An id that breaks the service model's pattern is another error to ECR, and the same to moto.
    """
    assert told(walkers, Step(operation, "app", members, upload=0)) == both(
        {"error": "UploadNotFoundException"}
    )
    for walker in walkers.values():
        walker.uploads.append("does-not-exist")
    answers = told(walkers, Step(operation, "app", members, upload=0))
    assert answers == {
        "local": {"error": "InvalidParameterException"},
        "moto": {"error": "UploadNotFoundException"},
    }


def test_a_part_that_leaves_a_gap(walkers: dict[str, Walker]) -> None:
    """It is refused with the last byte received, the part that belongs there is taken, and the whole has its digest."""
    initiate, first, complete = pushed(b"AAAABBBB", 0)
    first = Step(first.operation, "app", {"layerPartBlob": b"AAAA"}, upload=0)
    gap = Step(first.operation, "app", {"layerPartBlob": b"BBBB"}, upload=0, offset=4)
    refused = {**IDENTITY, "lastValidByteReceived": 3, "error": "InvalidLayerPartException"}
    assert told(walkers, initiate, first, gap) == both(refused)
    second = Step(first.operation, "app", {"layerPartBlob": b"BBBB"}, upload=0)
    assert told(walkers, second) == both({**IDENTITY, "lastByteReceived": 7})
    answers = {
        "local": {"error": "LayerPartTooSmallException"},
        "moto": {**IDENTITY, "layerDigest": digest_of(b"AAAABBBB")},
    }
    assert told(walkers, complete) == answers


def test_an_upload_to_no_repository(walkers: dict[str, Walker]) -> None:
    """A repository that does not exist takes no upload."""
    assert told(walkers, Step("initiate_layer_upload", "none", {})) == both(
        {"error": "RepositoryNotFoundException"}
    )
