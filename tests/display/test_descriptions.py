"""The descriptions of results, plans and reports, which every renderer uses."""

from __future__ import annotations

import pytest

from descriptions import described
from ecr_layer_client import (
    CallError,
    Layer,
    LayerAvailability,
    LayerCheckResult,
    LayerCheckResults,
    LayerFailure,
    LayerFailureCode,
    LayerOutcome,
    Repository,
    RepositoryNotFoundError,
)
from ecr_layer_client._text.quoting import line, short
from ecr_layer_client.display._cells import share
from ecr_layer_client.display._description import Description, Part, Table, Tone
from ecr_layer_client.images import Descriptor, ImageReport, Platform, PushPlan

APP = Repository(name="team/app")
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
NO_CALLS = dict.fromkeys(
    (
        "BatchCheckLayerAvailability",
        "InitiateLayerUpload",
        "UploadLayerPart",
        "CompleteLayerUpload",
        "PutImage",
    ),
    0,
)


def digest(number: int) -> str:
    """Return a digest that a reader can distinguish from others."""
    return f"sha256:{number:012d}{'0' * 52}"


def blob(number: int, size: int | None = 1000) -> Descriptor:
    """Return the descriptor of a layer."""
    return Descriptor(digest=digest(number), size=size, media_type=GZIP)


def plan(**parts: object) -> PushPlan:
    """Return a plan of a push to team/app that has only these parts."""
    empty: dict[str, object] = dict.fromkeys(
        ("manifests", "to_upload", "present", "foreign", "archived", "undetermined"), ()
    )
    return PushPlan.model_validate(
        {"repository": APP, **empty, "calls": NO_CALLS, "shared_bytes": 0} | parts
    )


def test_a_result() -> None:
    """A result describes its repository, its number of available layers, and each group.

    It lists the undetermined layers with their reasons.
    """
    outcomes: dict[str, LayerOutcome | LayerAvailability | LayerFailureCode] = {
        digest(1): Layer(digest=digest(1), availability=LayerAvailability.AVAILABLE, size=1000),
        digest(2): Layer(digest=digest(2), availability=LayerAvailability.AVAILABLE, size=500),
        digest(3): LayerAvailability.ARCHIVED,
        digest(4): LayerAvailability.UNAVAILABLE,
        digest(5): Layer(
            digest=digest(5), availability=LayerAvailability.UNKNOWN, raw_availability="FROZEN"
        ),
        "latest": LayerFailure(
            digest="latest", code=LayerFailureCode.INVALID_LAYER_DIGEST, reason="no digest"
        ),
        digest(6): LayerFailure(digest=digest(6), code=LayerFailureCode.UNKNOWN, raw_code="Tired"),
    }
    result = LayerCheckResult.of("team/app", outcomes).model_copy(
        update={"unanswered": (digest(7),)}
    )
    undetermined = (
        ("sha256:000000000005...", "FROZEN", ""),
        ("latest", "InvalidLayerDigest", "no digest"),
        ("sha256:000000000006...", "Tired", ""),
    )

    assert described(result) == Description(
        title="Layers of team/app",
        verdict="2 of 8 layers available",
        parts=(
            Part("available", Tone.GOOD, 2, 1500),
            Part("archived", Tone.HELD, 1),
            Part("absent", Tone.NEW, 1),
            Part("undetermined", Tone.BAD, 3),
            Part("unanswered", Tone.REST, 1),
        ),
        tables=(Table("Undetermined: 3", ("digest", "response", "reason"), undetermined),),
    )


@pytest.mark.parametrize(
    ("availabilities", "verdict"),
    [
        ([], "nothing was checked"),
        ([LayerAvailability.AVAILABLE], "1 layer available"),
        ([LayerAvailability.AVAILABLE] * 2, "all 2 layers available"),
        ([LayerAvailability.UNAVAILABLE], "0 of 1 layer available"),
    ],
    ids=["none", "one", "all", "absent"],
)
def test_a_verdict(availabilities: list[LayerAvailability], verdict: str) -> None:
    """The verdict is one line with the number of available layers."""
    result = LayerCheckResult.of(
        "team/app", {digest(number): state for number, state in enumerate(availabilities)}
    )
    assert described(result).verdict == verdict


def test_results() -> None:
    """Several results describe their sums, the errors, and the repositories that lack most."""
    app = LayerCheckResult.of(
        "team/app",
        {digest(1): LayerAvailability.AVAILABLE, digest(2): LayerAvailability.UNAVAILABLE},
    )
    new = LayerCheckResult.of(
        "team/new",
        {digest(1): LayerAvailability.UNAVAILABLE, digest(2): LayerAvailability.ARCHIVED},
    )
    complete = LayerCheckResult.of("team/complete", {digest(1): LayerAvailability.AVAILABLE})
    results = LayerCheckResults(
        [app, new, complete],
        {"team/gone": RepositoryNotFoundError("repository 'team/gone' was not found")},
    )
    failed = (("team/gone", "RepositoryNotFoundError", "repository 'team/gone' was not found"),)
    lacking = (("team/new", 2, 0, 1, 1), ("team/app", 2, 1, 1, 0))

    assert described(results) == Description(
        title="Layers of 4 repositories",
        verdict="2 of 5 layers available; 1 repository failed",
        parts=(
            Part("available", Tone.GOOD, 2),
            Part("archived", Tone.HELD, 1),
            Part("absent", Tone.NEW, 2),
        ),
        tables=(
            Table("Failed: 1", ("repository", "error", "message"), failed),
            Table(
                "Repositories that lack most: 2",
                ("repository", "digests", "available", "absent", "other"),
                lacking,
            ),
        ),
    )


def test_a_plan() -> None:
    """A plan describes the blobs to upload, each part with its bytes, and the calls.

    It also has the time and the largest uploads.
    """
    upload = (blob(1, 3_000_000), blob(2), blob(3, 9_000_000), blob(4, None))
    calls = NO_CALLS | {"BatchCheckLayerAvailability": 1, "PutImage": 2}
    description = described(
        plan(
            manifests=(blob(8), blob(9)),
            to_upload=upload,
            present=(blob(5, 2000),),
            foreign=(blob(6, 7000),),
            archived=(upload[0],),
            undetermined=(upload[1],),
            calls=calls,
            shared_bytes=4000,
        )
    )
    largest = (
        ("sha256:000000000003...", 9_000_000, GZIP),
        ("sha256:000000000001...", 3_000_000, GZIP),
        ("sha256:000000000002...", 1000, GZIP),
        ("sha256:000000000004...", "unknown", GZIP),
    )

    assert description == Description(
        title="Push of 2 manifests to team/app",
        verdict="4 blobs to upload, at least 12.0 MB",
        parts=(
            Part("present", Tone.GOOD, 1, 2000),
            Part("to upload", Tone.NEW, 2, 9_000_000),
            Part("to upload, archived", Tone.HELD, 1, 3_000_000),
            Part("to upload, undetermined", Tone.BAD, 1, 1000),
            Part("foreign, not pushed", Tone.REST, 1, 7000),
        ),
        by_size=True,
        facts=(
            ("shared between the images", "4.0 kB"),
            ("of unknown size", "1 blob"),
            ("calls", "1 BatchCheckLayerAvailability, 2 PutImage"),
            ("at ECR's quotas", "at least 0.20 s"),
        ),
        tables=(Table("Largest uploads: 4", ("digest", "size", "media type"), largest),),
    )


def test_a_plan_whose_sizes_are_known() -> None:
    """The bytes to upload are exact if every size is known."""
    description = described(plan(to_upload=(blob(1), blob(2))))
    assert description.verdict == "2 blobs to upload, 2.0 kB"


def test_an_upload_of_unknown_size() -> None:
    """An upload of unknown size comes last, after one of a single byte."""
    [largest] = described(plan(to_upload=(blob(1, None), blob(2, 1)))).tables
    assert [size for _, size, _ in largest.rows] == [1, "unknown"]


def test_the_warnings_of_a_plan() -> None:
    """A plan describes its first ten warnings, shortened to 500 characters."""
    warnings = ["w" * 600, *(f"warning {number}" for number in range(1, 12))]
    [table] = described(plan(warnings=tuple(warnings))).tables
    (first,), *others = table.rows
    assert (table.caption, table.columns) == ("Warnings: 10 of 12", ("warning",))
    assert first == "w" * 500 + "..."
    assert others == [(warning,) for warning in warnings[1:10]]


def test_a_plan_of_nothing_to_upload() -> None:
    """A plan without uploads says so, and a plan without a repository names none."""
    description = described(plan(repository=None, manifests=(blob(1),), present=(blob(2),)))
    assert (description.title, description.verdict, description.facts[0]) == (
        "Push of 1 manifest",
        "every blob is present: the push only puts manifests",
        ("calls", "none"),
    )


def test_the_bar_shows_counts_without_sizes() -> None:
    """The bar shows counts if no size is known."""
    assert described(
        plan(to_upload=(blob(1, None), blob(2, None)), foreign=(blob(3, None),))
    ).weights == (2, 1)


def test_a_report() -> None:
    """The report of an index describes its blobs once each, and each defect.

    It also has the image of each platform, and whether the index is deployable.
    """
    shared, lost, grown = blob(1), blob(2), blob(3)
    amd64 = ImageReport(
        repository=APP,
        reference=digest(8),
        digest=digest(8),
        platform=Platform.parse("linux/amd64"),
        available=(shared,),
    )
    arm64 = ImageReport(
        repository=APP,
        reference=digest(9),
        digest=digest(9),
        platform=Platform.parse("linux/arm64"),
        available=(shared,),
        absent=(lost,),
        wrong_size=(grown,),
    )
    unnamed = ImageReport(repository=APP, reference=digest(10), problem="not found (ImageNotFound)")
    report = ImageReport(
        repository=APP,
        reference="1.0",
        tags=("1.0",),
        digest=digest(7),
        media_type="application/vnd.oci.image.index.v1+json",
        children=(amd64, arm64, unnamed),
    )
    defects = (
        ("linux/arm64", "absent", "sha256:000000000002..."),
        ("linux/arm64", "wrong size", "sha256:000000000003..."),
        ("", "not found (ImageNotFound)", "sha256:000000000010..."),
    )
    images = (
        ("linux/amd64", 1, "complete"),
        ("linux/arm64", 3, "2 defects"),
        ("not given", 0, "1 defect"),
    )

    assert described(report) == Description(
        title="Image team/app:1.0",
        verdict="not deployable: 3 defects",
        parts=(
            Part("available", Tone.GOOD, 1, 1000),
            Part("absent", Tone.NEW, 1, 1000),
            Part("wrong size", Tone.BAD, 1, 1000),
        ),
        facts=(
            ("digest", "sha256:000000000007..."),
            ("tags", "1.0"),
            ("media type", "application/vnd.oci.image.index.v1+json"),
        ),
        tables=(
            Table("Defects: 3", ("platform", "what", "digest"), defects),
            Table("Images: 3", ("platform", "blobs", "state"), images),
        ),
    )


def test_a_report_that_is_complete() -> None:
    """The report of a complete image says so, and names an image by its digest.

    It shows the first ten of many tags.
    """
    tags = tuple(f"v{number}" for number in range(12))
    description = described(
        ImageReport(repository=APP, reference=digest(8), tags=tags, available=(blob(1),))
    )
    shown = "v0, v1, v2, v3, v4, v5, v6, v7, v8, v9 and 2 more"

    assert (description.title, description.verdict, description.facts, description.tables) == (
        "Image team/app@sha256:000000000008...",
        "complete: every manifest and blob exists",
        (("tags", shown),),
        (),
    )


def test_a_report_without_a_manifest() -> None:
    """The report of an image that is not found says so, and has no other facts."""
    description = described(
        ImageReport(repository=APP, reference="gone", problem="not found (ImageNotFound)")
    )
    rows = (("not found (ImageNotFound)", "gone"),)

    assert description == Description(
        "Image team/app:gone",
        "not deployable: 1 defect",
        (),
        tables=(Table("Defects: 1", ("what", "digest"), rows),),
    )


def test_many_rows_are_counted() -> None:
    """A table shows ten of many rows, and their number."""
    result = LayerCheckResult.of(
        "team/app", {digest(number): LayerFailureCode.NOT_REPORTED for number in range(1234)}
    )
    (table,) = described(result).tables
    assert (table.caption, len(table.rows)) == ("Undetermined: 10 of 1,234", 10)


def test_many_errors_are_counted() -> None:
    """A table shows ten of many failed repositories, and their number."""
    results = LayerCheckResults(
        [], {f"team/{number}": CallError("it failed") for number in range(30)}
    )
    description = described(results)

    assert (
        description.verdict,
        description.tables[0].caption,
        len(description.tables[0].rows),
    ) == (
        "nothing was checked; 30 repositories failed",
        "Failed: 10 of 30",
        10,
    )


def test_the_bar_in_words() -> None:
    """The bar has a text for people who do not see it.

    The text has each part's count and its share of the bar.
    """
    description = Description(
        "a title",
        "a verdict",
        (Part("good", Tone.GOOD, 2, 999), Part("none", Tone.BAD, 0), Part("new", Tone.NEW, 1, 1)),
    )
    by_size = Description("a title", "a verdict", description.parts, by_size=True)

    assert (description.bar_text, by_size.bar_text) == (
        "good 2 (67 %), new 1 (33 %)",
        "good 2 (over 99 %), new 1 (under 1 %)",
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\x1b[31m", "two\\nlines\\x1b[31m"),
        ("\u202eright to left", "\\u202eright to left"),
        ("\ud800 is half a character", "\\ud800 is half a character"),
        ("x" * 101, "x" * 100 + "..."),
        ("\0" * 60, ("\\x00" * 60)[:100] + "..."),
        ("see https://user:secret@proxy/", "see https://***@proxy/"),
        (ValueError("an error"), "an error"),
    ],
    ids=[
        "plain",
        "control",
        "direction",
        "surrogate",
        "long",
        "long when escaped",
        "password",
        "object",
    ],
)
def test_text_from_outside(text: object, shown: str) -> None:
    """Untrusted text becomes one printable line of bounded length without secrets."""
    assert line(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sha256:" + "ab" * 32, "sha256:abababababab..."),
        ("sha512:" + "ab" * 64, "sha512:abababababab..."),
        ("latest", "latest"),
        ("sha256:" + "\u00e9" * 64, "sha256:" + "\u00e9" * 33 + "..."),
        ("<" * 99 + ":" + "ab" * 32, "<" * 12 + "...:abababababab..."),
    ],
    ids=["sha256", "sha512", "no digest", "not ASCII", "a long algorithm"],
)
def test_a_short_digest(text: str, shown: str) -> None:
    """A digest is shown as its algorithm and twelve digits, and other text by its beginning."""
    assert short(text) == shown


@pytest.mark.parametrize(
    ("part", "shown"),
    [(0, "0 %"), (1, "under 1 %"), (500, "50 %"), (999, "over 99 %"), (1000, "100 %")],
    ids=str,
)
def test_a_share(part: int, shown: str) -> None:
    """A share is shown as 0 or 100 percent only if it is exactly that."""
    assert share(part, 1000) == shown
