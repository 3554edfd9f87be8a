"""ListImageReferrers lists the artifacts that name an image as their subject."""

from __future__ import annotations

from typing import Any

import pytest

from ecr_layer_client.local._registry.manifest import OCI_MANIFEST
from local.one_repository import ABSENT, CONFIG, OneRepository, a_manifest

SIGNATURE, SBOM = "application/vnd.example.signature", "application/vnd.example.sbom"


def an_artifact(subject: str, kind: str = SIGNATURE, **members: Any) -> str:
    """Return the text of a manifest about an image."""
    return a_manifest(artifactType=kind, subject={"digest": subject}, **members)


def referrers(repository: OneRepository, subject: str, **members: Any) -> list[dict[str, Any]]:
    """Return the rows of ListImageReferrers."""
    answer = repository.run("ListImageReferrers", subjectId={"imageDigest": subject}, **members)
    rows: list[dict[str, Any]] = answer["referrers"]
    return rows


def test_a_referrer_is_described() -> None:
    """A row has the media type, the type, the size of the manifest and the annotations."""
    repository = OneRepository()
    subject = repository.put(a_manifest())
    text = an_artifact(subject, annotations={"note": "signed"})
    digest = repository.put(text)
    expected = {
        "digest": digest,
        "mediaType": OCI_MANIFEST,
        "artifactType": SIGNATURE,
        "size": len(text),
        "annotations": {"note": "signed"},
        "artifactStatus": "ACTIVE",
    }

    assert referrers(repository, subject) == [expected]


def test_an_image_that_only_names_a_digest_is_no_referrer() -> None:
    """An image that has the digest as a blob, and an image of another subject, are not listed."""
    repository = OneRepository()
    repository.put(an_artifact(ABSENT))
    repository.put(a_manifest(annotations=None))
    assert (referrers(repository, CONFIG), len(referrers(repository, ABSENT))) == ([], 1)


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"artifactTypes": [SBOM]}, 1),
        ({"artifactTypes": [SBOM, SIGNATURE]}, 2),
        ({"artifactTypes": ["text/plain"]}, 0),
        ({"artifactTypes": []}, 2),
        ({"artifactStatus": "ARCHIVED"}, 1),
        ({"artifactStatus": "ANY"}, 3),
        ({}, 2),
    ],
    ids=["one", "both", "other", "no type", "archived", "any", "default"],
)
def test_referrers_are_filtered(asked: dict[str, Any], count: int) -> None:
    """The filter selects by type and status, and only active artifacts by default."""
    repository = OneRepository()
    for kind in (SIGNATURE, SBOM):
        repository.put(an_artifact(ABSENT, kind))
    old = repository.put(an_artifact(ABSENT, annotations={"note": "old"}))
    repository.registry.archive("app", old)
    assert len(referrers(repository, ABSENT, filter=asked)) == count


def test_a_page_has_at_most_fifty_referrers() -> None:
    """Without maxResults a page has 50 referrers, and the pages have each of them once."""
    repository = OneRepository()
    digests = {
        repository.put(an_artifact(ABSENT, annotations={"number": str(number)}))
        for number in range(60)
    }
    asked = {"subjectId": {"imageDigest": ABSENT}}
    first = repository.run("ListImageReferrers", **asked)
    second = repository.run("ListImageReferrers", **asked, nextToken=first["nextToken"])
    pages = [[row["digest"] for row in page["referrers"]] for page in (first, second)]

    assert ([len(page) for page in pages], {*pages[0], *pages[1]}, "nextToken" in second) == (
        [50, 10],
        digests,
        False,
    )


@pytest.mark.parametrize(
    ("annotations", "seen"),
    [([1], None), ("text", None), (None, None), ({"a": "b", "c": 1}, {"a": "b"})],
    ids=["list", "text", "null", "number"],
)
def test_only_annotations_of_text_are_listed(annotations: Any, seen: Any) -> None:
    """A response lists only annotations of text, whatever the manifest has."""
    repository = OneRepository()
    repository.put(an_artifact(ABSENT, annotations=annotations))
    assert [row.get("annotations") for row in referrers(repository, ABSENT)] == [seen]


def test_a_deleted_artifact_is_not_listed() -> None:
    """An artifact is listed until it is deleted."""
    repository = OneRepository()
    digest = repository.put(an_artifact(ABSENT))
    repository.delete({"imageDigest": digest})
    assert referrers(repository, ABSENT) == []


def test_a_malformed_subject_is_rejected() -> None:
    """A text that is not a digest is InvalidParameterException (assumed)."""
    code, message = OneRepository().rejected(
        "ListImageReferrers", subjectId={"imageDigest": "latest"}
    )
    assert (code, "at 'subjectId.imageDigest' failed" in message) == (
        "InvalidParameterException",
        True,
    )
