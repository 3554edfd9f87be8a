"""Images of the local registry: what PutImage takes, and what get, list, describe and delete answer."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client.local._registry.errors import AwsError
from ecr_layer_client.local._registry.manifest import (
    DOCKER_MANIFEST,
    DOCKER_SCHEMA_1,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
)
from ecr_layer_client.local._registry.registry import Registry
from ecr_layer_client.local._registry.state import StoredLayer

ACCOUNT = "123456789012"
CONFIG, LAYER, ABSENT = ("sha256:" + letter * 64 for letter in "abc")
NOBODY: dict[str, str] = {}
NOW = 1_000_000.0
PLACE = f"the repository with name 'app' in the registry with id '{ACCOUNT}'"


class Played:
    """A registry with one repository that holds a config of 3 bytes and a layer of 7."""

    def __init__(self, **options: Any) -> None:
        """Take options of CreateRepository."""
        self.now = NOW
        self.registry = Registry(account=ACCOUNT, region="us-east-1", now=lambda: self.now)
        self.registry.run("CreateRepository", {"repositoryName": "app", **options})
        self.registry.repository("app").hold(
            [StoredLayer(CONFIG, 3, "text/plain"), StoredLayer(LAYER, 7, "text/plain")]
        )

    def run(self, operation: str, **members: Any) -> dict[str, Any]:
        """Run an operation on the repository."""
        return self.registry.run(operation, {"repositoryName": "app", **members})

    def put(self, manifest: str, tag: str | None = None, **members: Any) -> str:
        """Put an image and return its digest."""
        tagged = {} if tag is None else {"imageTag": tag}
        return str(
            self.run("PutImage", imageManifest=manifest, **tagged, **members)["image"]["imageId"][
                "imageDigest"
            ]
        )

    def refused(self, operation: str, **members: Any) -> tuple[str, str]:
        """Return code and message of a refusal."""
        with pytest.raises(AwsError) as caught:
            self.run(operation, **members)
        return caught.value.code, caught.value.message

    def get(
        self, *ids: dict[str, str], **members: Any
    ) -> tuple[list[tuple[str, str | None]], list[str]]:
        """Return the digests and tags of the rows of BatchGetImage, and the codes of its failures."""
        answer = self.run("BatchGetImage", imageIds=list(ids), **members)
        found = [
            (row["imageId"]["imageDigest"], row["imageId"].get("imageTag"))
            for row in answer["images"]
        ]
        return found, [failure["failureCode"] for failure in answer["failures"]]

    def delete(self, *ids: dict[str, str]) -> tuple[list[dict[str, str]], list[str]]:
        """Return what BatchDeleteImage deleted, and the codes of its failures."""
        answer = self.run("BatchDeleteImage", imageIds=list(ids))
        return answer["imageIds"], [failure["failureCode"] for failure in answer["failures"]]

    def listed(self, **asked: str) -> list[str]:
        """Return the tags that ListImages gives, "" for an image without any."""
        return sorted(
            row.get("imageTag", "") for row in self.run("ListImages", filter=asked)["imageIds"]
        )

    def described(self, **members: Any) -> list[dict[str, Any]]:
        """Return the rows of DescribeImages."""
        details: list[dict[str, Any]] = self.run("DescribeImages", **members)["imageDetails"]
        return details

    def availability(self, digest: str) -> str:
        """Return what a check says of a layer."""
        return str(
            self.run("BatchCheckLayerAvailability", layerDigests=[digest])["layers"][0][
                "layerAvailability"
            ]
        )


def a_manifest(*layers: str, note: str = "", **members: Any) -> str:
    """Return the text of a manifest of these layers; another note makes another image."""
    descriptors = [
        {"mediaType": OCI_LAYER, "digest": layer, "size": 7} for layer in layers or (LAYER,)
    ]
    config = {"mediaType": OCI_CONFIG, "digest": CONFIG, "size": 3}
    whole = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config,
        "layers": descriptors,
        "annotations": {"note": note},
    }
    return json.dumps(whole | members)


def an_index(*digests: str, **members: Any) -> str:
    """Return the text of an index of these images."""
    return json.dumps(
        {"mediaType": OCI_INDEX, "manifests": [{"digest": digest} for digest in digests]} | members
    )


def digest_of(text: str) -> str:
    """Return the digest of a manifest."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


# -- PutImage
# --------------------------------------------------------------------------------------------------------------


def test_an_image_is_put_and_answered() -> None:
    """PutImage answers the image with its digest, its tag and its manifest."""
    text = a_manifest()
    image_id = {"imageDigest": digest_of(text), "imageTag": "1.0"}
    expected = {
        "registryId": ACCOUNT,
        "repositoryName": "app",
        "imageId": image_id,
        "imageManifest": text,
        "imageManifestMediaType": OCI_MANIFEST,
    }
    assert Played().run("PutImage", imageManifest=text, imageTag="1.0") == {"image": expected}


@given(st.text(alphabet=" \n\t", max_size=5), st.text(st.characters(codec="utf-8"), max_size=5))
def test_the_digest_is_that_of_the_exact_text(space: str, note: str) -> None:
    """ImageDigest is the sha256 of the manifest's own bytes, whitespace and escapes included, and it comes back unchanged."""
    played, text = (
        Played(),
        space
        + json.dumps(json.loads(a_manifest(note=note)), ensure_ascii=False, indent=len(space))
        + space,
    )
    digest = played.put(text)
    images = played.run("BatchGetImage", imageIds=[{"imageDigest": digest}])["images"]
    assert (digest, [image["imageManifest"] for image in images]) == (digest_of(text), [text])


def test_missing_layers_are_listed_in_brackets() -> None:
    """LayersNotFoundException lists the layers that are not held, each once."""
    code, message = Played().refused("PutImage", imageManifest=a_manifest(ABSENT, LAYER, ABSENT))
    where = f"repository with name 'app' in the registry with id '{ACCOUNT}'"
    assert (code, message) == (
        "LayersNotFoundException",
        f"Layers with digests '[{ABSENT}]' required for pushing image into {where} do not exist",
    )


def test_a_missing_config_is_a_missing_layer() -> None:
    """The config is a layer like any other."""
    text = a_manifest(config={"mediaType": OCI_CONFIG, "digest": ABSENT, "size": 3})
    assert Played().refused("PutImage", imageManifest=text)[0] == "LayersNotFoundException"


def test_a_layer_that_is_held_elsewhere_is_not_asked_for() -> None:
    """A descriptor with `urls` names a foreign layer, which no push uploads."""
    text = a_manifest(layers=[{"digest": ABSENT, "urls": ["https://example.com/base"]}])
    assert Played().put(text) == digest_of(text)


def test_a_digest_in_upper_case_names_the_layer_that_is_held() -> None:
    """A manifest may spell a digest in either letter case; registries hold lower case (assumed)."""
    text = a_manifest("sha256:" + LAYER[7:].upper())
    assert Played().put(text) == digest_of(text)


def test_an_index_comes_after_its_images() -> None:
    """An index of images that are not there is ReferencedImagesNotFoundException, and lists them."""
    code, message = Played().refused("PutImage", imageManifest=an_index(ABSENT))
    assert (code, f"Images with digests '[{ABSENT}]'" in message) == (
        "ReferencedImagesNotFoundException",
        True,
    )


def test_an_index_of_images_that_are_there_is_put() -> None:
    """An index is put once its images are."""
    played = Played()
    text = an_index(played.put(a_manifest()))
    assert played.put(text, "all") == digest_of(text)


@pytest.mark.parametrize("setting", ["MUTABLE", "IMMUTABLE"])
@pytest.mark.parametrize("tag", ["1.0", None])
def test_the_same_image_and_tag_already_exist(setting: str, tag: str | None) -> None:
    """PutImage that changes nothing is ImageAlreadyExistsException (in an immutable repository: assumed)."""
    played, text = Played(imageTagMutability=setting), a_manifest()
    played.put(text, tag)
    code, message = played.refused(
        "PutImage", imageManifest=text, **({"imageTag": tag} if tag else {})
    )
    expected = f"Image with digest '{digest_of(text)}' and tag '{tag or 'null'}' already exists in the repository with name 'app'"
    assert (code, message) == (
        "ImageAlreadyExistsException",
        f"{expected} in registry with id '{ACCOUNT}'",
    )


def test_a_tag_moves() -> None:
    """Putting another image under a tag takes the tag away from the first, which stays."""
    played = Played()
    first, second = played.put(a_manifest(), "latest"), played.put(a_manifest(note="new"), "latest")
    assert played.get({"imageTag": "latest"}, {"imageDigest": first}) == (
        [(second, "latest"), (first, None)],
        [],
    )


def test_another_tag_for_an_image_that_is_there() -> None:
    """Putting an image again with another tag gives it both."""
    played = Played()
    digest = played.put(a_manifest(), "1.0")
    assert played.put(a_manifest(), "latest") == digest
    assert played.described() == [{**played.described()[0], "imageTags": ["1.0", "latest"]}]


@pytest.mark.parametrize(
    ("setting", "filters", "is_refused"),
    [
        ("IMMUTABLE", None, True),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev-*"], True),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev-*", "v*"], False),
        ("MUTABLE_WITH_EXCLUSION", ["v*"], True),
        ("MUTABLE_WITH_EXCLUSION", ["dev-*"], False),
    ],
)
def test_an_immutable_tag_does_not_move(
    setting: str, filters: list[str] | None, *, is_refused: bool
) -> None:
    """A tag of an immutable repository, or one that the exclusion filters make so, is ImageTagAlreadyExistsException."""
    options: dict[str, Any] = {"imageTagMutability": setting}
    if filters is not None:
        options["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": each} for each in filters
        ]
    played = Played(**options)
    played.put(a_manifest(), "v1")
    if is_refused:
        expected = "The image tag 'v1' already exists in the 'app' repository and cannot be overwritten because the repository is immutable."
        answer = played.refused("PutImage", imageManifest=a_manifest(note="new"), imageTag="v1")
        assert answer == ("ImageTagAlreadyExistsException", expected)
    else:
        assert played.put(a_manifest(note="new"), "v1") == digest_of(a_manifest(note="new"))


def test_a_digest_that_does_not_match_is_refused() -> None:
    """imageDigest, when given, must be the manifest's own."""
    code, message = Played().refused("PutImage", imageManifest=a_manifest(), imageDigest=ABSENT)
    assert (code, digest_of(a_manifest()) in message) == ("ImageDigestDoesNotMatchException", True)


def test_a_digest_that_matches_is_taken() -> None:
    """ImageDigest that is the manifest's own is fine, in either letter case."""
    digest = digest_of(a_manifest())
    assert Played().put(a_manifest(), imageDigest=digest.upper().replace("SHA", "sha")) == digest


@pytest.mark.parametrize(
    ("manifest", "members", "said"),
    [
        ("{", {}, "Invalid JSON syntax"),
        ("[" * 100_000, {}, "Invalid JSON syntax"),
        ("\ud800", {}, "Invalid JSON syntax"),
        ("[]", {}, "it must be an object"),
        ("{}", {}, "it has no mediaType, so imageManifestMediaType must say it"),
        ("{}", {"imageManifestMediaType": "text/plain"}, "its media type must be one of"),
        ('{"mediaType": 5}', {}, "its media type must be one of"),
        (
            a_manifest(),
            {"imageManifestMediaType": DOCKER_MANIFEST},
            "must be the mediaType of the manifest",
        ),
        (a_manifest(config=None), {}, "config must be an object"),
        (a_manifest(layers={}), {}, "layers must be a list"),
        (a_manifest(layers=["x"]), {}, "each of layers must be an object"),
        (a_manifest(layers=[{}]), {}, "each digest must be a digest"),
        (a_manifest(layers=[{"digest": "../../etc"}]), {}, "each digest must be a digest"),
        (a_manifest(subject="x"), {}, "subject must be an object"),
        (an_index(manifests=None), {}, "manifests must be a list"),
        (a_manifest(), {"imageTag": "-"}, "must satisfy regular expression"),
        (
            a_manifest(manifests=[]),
            {},
            f"a manifest of type {OCI_MANIFEST} must not have manifests",
        ),
        (a_manifest(fsLayers=[]), {}, f"a manifest of type {OCI_MANIFEST} must not have fsLayers"),
        (an_index(layers=[]), {}, f"a manifest of type {OCI_INDEX} must not have layers"),
        (an_index(config={}), {}, f"a manifest of type {OCI_INDEX} must not have config"),
        (
            an_index(mediaType=DOCKER_SCHEMA_1, fsLayers=[]),
            {},
            f"a manifest of type {DOCKER_SCHEMA_1} must not have manifests",
        ),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_a_manifest_that_is_none_is_refused(
    manifest: str, members: dict[str, str], said: str
) -> None:
    """A manifest that can't be read is InvalidParameterException, and says why (wordings assumed)."""
    code, message = Played().refused("PutImage", imageManifest=manifest, **members)
    assert (code, f"failed to satisfy constraint: '{said}" in message) == (
        "InvalidParameterException",
        True,
    )


def test_a_manifest_without_a_media_type_is_told_it() -> None:
    """ImageManifestMediaType says what a manifest does not say itself."""
    text = a_manifest(mediaType=None)
    assert Played().put(text, imageManifestMediaType=OCI_MANIFEST) == digest_of(text)


def test_a_manifest_of_schema_1_names_its_layers_otherwise() -> None:
    """The layers of Docker's first schema are its blobSums."""
    text = json.dumps({"schemaVersion": 1, "fsLayers": [{"blobSum": ABSENT}]})
    assert (
        Played().refused("PutImage", imageManifest=text, imageManifestMediaType=DOCKER_SCHEMA_1)[0]
        == "LayersNotFoundException"
    )


def test_a_put_tells_the_media_types_of_its_layers() -> None:
    """After PutImage a check answers the layer's media type as the manifest has it (assumed)."""
    played = Played()
    played.put(a_manifest())
    assert (
        played.run("BatchCheckLayerAvailability", layerDigests=[LAYER])["layers"][0]["mediaType"]
        == OCI_LAYER
    )


# -- BatchGetImage
# ---------------------------------------------------------------------------------------------------------


def test_an_image_is_found_by_tag_by_digest_and_by_both() -> None:
    """A tag gives one row; a digest one row for each tag; the same row comes once (assumed)."""
    played = Played()
    digest = played.put(a_manifest(), "a")
    played.put(a_manifest(), "b")
    assert played.get({"imageTag": "b"}) == ([(digest, "b")], [])
    assert played.get({"imageDigest": digest}) == ([(digest, "a"), (digest, "b")], [])
    assert played.get({"imageDigest": digest, "imageTag": "a"}, {"imageTag": "a"}) == (
        [(digest, "a")],
        [],
    )


@pytest.mark.parametrize(
    ("image_id", "code"),
    [
        ({}, "MissingDigestAndTag"),
        ({"imageDigest": "nonsense"}, "InvalidImageDigest"),
        ({"imageTag": "not a tag"}, "InvalidImageTag"),
        ({"imageDigest": ABSENT}, "ImageNotFound"),
        ({"imageTag": "nope"}, "ImageNotFound"),
        ({"imageDigest": digest_of(a_manifest()), "imageTag": "nope"}, "ImageNotFound"),
        ({"imageDigest": ABSENT, "imageTag": "1"}, "ImageNotFound"),
        ({"imageDigest": digest_of(a_manifest()), "imageTag": "2"}, "ImageTagDoesNotMatchDigest"),
    ],
    ids=lambda value: str(value)[:60],
)
@pytest.mark.parametrize("operation", ["BatchGetImage", "BatchDeleteImage"])
def test_what_is_not_there_fails_alone(operation: str, image_id: dict[str, str], code: str) -> None:
    """An image that can't be found is a failure of its own, and the others are answered."""
    played = Played()
    played.put(a_manifest(), "1")
    played.put(a_manifest(note="new"), "2")
    answer = played.run(operation, imageIds=[image_id, {"imageTag": "2"}])
    assert [(failure["imageId"], failure["failureCode"]) for failure in answer["failures"]] == [
        (image_id, code)
    ]
    assert len(answer["images"] if operation == "BatchGetImage" else answer["imageIds"]) == 1


def test_a_media_type_that_is_not_accepted_is_not_found() -> None:
    """BatchGetImage answers ImageNotFound for an image of a media type that is not among acceptedMediaTypes (assumed)."""
    played = Played()
    digest = played.put(a_manifest(), "1")
    assert played.get({"imageTag": "1"}, acceptedMediaTypes=[DOCKER_MANIFEST]) == (
        [],
        ["ImageNotFound"],
    )
    assert played.get({"imageTag": "1"}, acceptedMediaTypes=[DOCKER_MANIFEST, OCI_MANIFEST]) == (
        [(digest, "1")],
        [],
    )


# -- BatchDeleteImage
# ------------------------------------------------------------------------------------------------------


def test_deleting_a_tag_leaves_the_image_its_other_tags() -> None:
    """A tag is taken away, and the image goes with its last one."""
    played = Played()
    digest = played.put(a_manifest(), "a")
    played.put(a_manifest(), "b")
    assert played.delete({"imageTag": "a"}) == ([{"imageDigest": digest, "imageTag": "a"}], [])
    assert played.get({"imageDigest": digest}) == ([(digest, "b")], [])
    played.delete({"imageTag": "b"})
    assert played.get({"imageDigest": digest}) == ([], ["ImageNotFound"])


def test_deleting_a_digest_deletes_all_its_tags() -> None:
    """An image deleted by its digest is answered once for each tag, and its layers stay held."""
    played = Played()
    digest = played.put(a_manifest(), "a")
    played.put(a_manifest(), "b")
    expected = [{"imageDigest": digest, "imageTag": tag} for tag in ("a", "b")]
    assert (
        played.delete({"imageDigest": digest}),
        played.listed(),
        played.availability(LAYER),
    ) == ((expected, []), [], "AVAILABLE")


def test_deleting_an_untagged_image() -> None:
    """An image without a tag is answered by its digest alone."""
    played = Played()
    digest = played.put(a_manifest())
    assert (played.delete({"imageDigest": digest}), played.listed()) == (
        ([{"imageDigest": digest}], []),
        [],
    )


@pytest.mark.parametrize("by", ["imageDigest", "imageTag"])
def test_an_image_that_an_index_lists_is_not_deleted(by: str) -> None:
    """It fails with ImageReferencedByManifestList, which names the index, and keeps its last tag."""
    played = Played()
    digest = played.put(a_manifest(), "child")
    index = played.put(an_index(digest), "all")
    image_id = {"imageDigest": digest} if by == "imageDigest" else {"imageTag": "child"}
    failures = played.run("BatchDeleteImage", imageIds=[image_id])["failures"]
    assert [(each["failureCode"], each["failureReason"]) for each in failures] == [
        ("ImageReferencedByManifestList", f"Requested image referenced by manifest list: [{index}]")
    ]
    assert (played.listed(), played.delete({"imageTag": "all"}, image_id)[1], played.listed()) == (
        ["all", "child"],
        [],
        [],
    )


def test_an_image_that_an_index_lists_gives_up_a_tag_that_is_not_its_last() -> None:
    """Taking one of two tags away deletes no image, so no index minds."""
    played = Played()
    played.put(a_manifest(), "a")
    played.put(an_index(played.put(a_manifest(), "b")))
    assert (played.delete({"imageTag": "a"})[1], played.listed()) == ([], ["", "b"])


# -- ListImages and DescribeImages
# -----------------------------------------------------------------------------------------


def test_images_are_listed_a_row_for_each_tag() -> None:
    """ListImages gives a row for each tag, and one for an image without any; tagStatus filters."""
    played = Played()
    for tag in ("a", "b"):
        played.put(a_manifest(), tag)
    played.put(a_manifest(note="untagged"))
    assert (
        played.listed(),
        played.listed(tagStatus="TAGGED"),
        played.listed(tagStatus="UNTAGGED"),
    ) == (["", "a", "b"], ["a", "b"], [""])


def test_an_image_is_described() -> None:
    """DescribeImages tells size, tags, media types, time and status."""
    played = Played()
    digest = played.put(a_manifest(subject={"digest": ABSENT}), "1.0")
    expected = {
        "registryId": ACCOUNT,
        "repositoryName": "app",
        "imageDigest": digest,
        "imageTags": ["1.0"],
        "imageSizeInBytes": 10,
        "imagePushedAt": NOW,
        "imageManifestMediaType": OCI_MANIFEST,
        "artifactMediaType": OCI_CONFIG,
        "subjectManifestDigest": ABSENT,
        "imageStatus": "ACTIVE",
    }
    assert played.described() == [expected]


def test_an_index_is_as_large_as_its_largest_image() -> None:
    """The size of an index is the largest of those of its images."""
    played = Played()
    small = played.put(a_manifest(layers=[]))
    index = played.put(an_index(small, played.put(a_manifest())))
    assert [
        row["imageSizeInBytes"] for row in played.described(imageIds=[{"imageDigest": index}])
    ] == [10]


def test_images_are_described_by_name_once_each() -> None:
    """DescribeImages of ids describes each image once, however often it is named."""
    played = Played()
    digest = played.put(a_manifest(), "1")
    rows = played.described(imageIds=[{"imageTag": "1"}, {"imageDigest": digest}])
    assert [row["imageDigest"] for row in rows] == [digest]


@pytest.mark.parametrize(
    ("members", "code", "said"),
    [
        (
            {"imageIds": [{"imageTag": "nope"}]},
            "ImageNotFoundException",
            f"The image with imageId {{imageDigest:'null', imageTag:'nope'}} does not exist within {PLACE}",
        ),
        ({"imageIds": [NOBODY]}, "InvalidParameterException", "both tag and digest cannot be null"),
        (
            {"imageIds": [{"imageTag": "1"}], "maxResults": 5},
            "InvalidParameterException",
            "at 'maxResults'",
        ),
        (
            {"imageIds": [{"imageTag": "1"}], "nextToken": "YQ=="},
            "InvalidParameterException",
            "at 'nextToken'",
        ),
        ({"nextToken": "?"}, "InvalidParameterException", "at 'nextToken'"),
    ],
    ids=["unknown", "neither", "maxResults", "nextToken", "token"],
)
def test_describing_refuses_what_ecr_refuses(members: dict[str, Any], code: str, said: str) -> None:
    """DescribeImages refuses unknown images, and names together with pages."""
    played = Played()
    played.put(a_manifest(), "1")
    answered, message = played.refused("DescribeImages", **members)
    assert (answered, said in message) == (code, True)


@given(st.integers(1, 9), st.integers(0, 7), st.sampled_from(["ListImages", "DescribeImages"]))
def test_pages_make_the_whole(size: int, count: int, operation: str) -> None:
    """Page by page, every image comes once, whatever the size of a page."""
    played = Played()
    digests = [played.put(a_manifest(note=str(number))) for number in range(count)]
    found: list[str] = []
    token: dict[str, str] | None = {}
    while token is not None:
        answer = played.run(operation, maxResults=size, **token)
        rows = answer["imageIds"] if operation == "ListImages" else answer["imageDetails"]
        assert len(rows) == min(size, count - len(found))
        found += [row["imageDigest"] for row in rows]
        token = {"nextToken": answer["nextToken"]} if "nextToken" in answer else None
        assert (token is None) == (len(found) == count)
    assert found == sorted(digests)


# -- archived images
# -------------------------------------------------------------------------------------------------------


def test_an_archived_image_takes_along_the_layers_that_it_alone_holds() -> None:
    """Layers that an active image holds, too, stay AVAILABLE; the others are ARCHIVED (assumed)."""
    played = Played()
    own = "sha256:" + "e" * 64
    played.registry.repository("app").hold([StoredLayer(own, 5, "text/plain")])
    played.put(a_manifest(), "active")
    played.registry.archive("app", played.put(a_manifest(LAYER, own), "old"))
    assert (played.availability(LAYER), played.availability(own)) == ("AVAILABLE", "ARCHIVED")


def test_an_archived_image_is_not_pulled_but_described() -> None:
    """BatchGetImage fails with ImageInaccessible (assumed).

    It is listed and described when archived ones are asked for.
    """
    played = Played()
    digest = played.put(a_manifest(), "old")
    played.now += 5
    played.registry.archive("app", digest)
    assert played.get({"imageTag": "old"}) == ([], ["ImageInaccessible"])
    assert (
        played.listed(),
        played.listed(imageStatus="ARCHIVED"),
        played.listed(imageStatus="ANY"),
    ) == ([], ["old"], ["old"])
    details = played.described(imageIds=[{"imageDigest": digest}])
    assert [(row["imageStatus"], row["lastArchivedAt"]) for row in details] == [
        ("ARCHIVED", NOW + 5)
    ]


def test_pushing_an_archived_image_again_restores_it() -> None:
    """The same PutImage is no ImageAlreadyExistsException then: the image is active and its layers are AVAILABLE."""
    played = Played()
    digest = played.put(a_manifest(), "old")
    played.registry.archive("app", digest)
    played.now += 5
    played.put(a_manifest(), "old")
    played.put(a_manifest(), "new")
    played.delete({"imageTag": "new"})
    assert (played.get({"imageTag": "old"}), played.availability(LAYER)) == (
        ([(digest, "old")], []),
        "AVAILABLE",
    )
    assert [(row["imagePushedAt"], row["lastActivatedAt"]) for row in played.described()] == [
        (NOW, NOW + 5)
    ]


# -- repositories of images
# ------------------------------------------------------------------------------------------------


def test_a_repository_with_images_is_deleted_by_force_alone() -> None:
    """DeleteRepository refuses one that holds images, in ECR's words.

    With force it goes, and is answered.
    """
    played = Played()
    played.put(a_manifest())
    expected = f"The repository with name 'app' in registry with id '{ACCOUNT}' cannot be deleted because it still contains images"
    assert played.refused("DeleteRepository") == ("RepositoryNotEmptyException", expected)
    assert played.run("DeleteRepository", force=True)["repository"]["repositoryName"] == "app"
    assert played.refused("DeleteRepository")[0] == "RepositoryNotFoundException"


def test_layers_alone_do_not_hold_a_repository_back() -> None:
    """A repository that holds layers and no image is deleted without force (assumed)."""
    assert Played().run("DeleteRepository")["repository"]["repositoryName"] == "app"


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"Key": str(number), "Value": ""} for number in range(51)], "TooManyTagsException"),
        ([{"Key": "", "Value": ""}], "InvalidTagParameterException"),
        ([{"Key": "k" * 129, "Value": ""}], "InvalidTagParameterException"),
        ([{"Key": "k", "Value": "v" * 257}], "InvalidTagParameterException"),
        ([{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}], "InvalidTagParameterException"),
    ],
    ids=["51", "no-key", "long-key", "long-value", "twice"],
)
def test_a_repositorys_tags_have_limits(tags: list[dict[str, str]], code: str) -> None:
    """CreateRepository refuses more than 50 tags, and keys and values beyond their lengths."""
    assert Played().refused("CreateRepository", repositoryName="other", tags=tags)[0] == code


@pytest.mark.parametrize(
    "members",
    [
        {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"},
        {"imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "v*"}]},
    ],
)
def test_exclusion_filters_go_with_a_mutability_that_takes_them(members: dict[str, Any]) -> None:
    """Filters without WITH_EXCLUSION, and the reverse, are InvalidParameterException (assumed)."""
    assert (
        Played().refused("CreateRepository", repositoryName="other", **members)[0]
        == "InvalidParameterException"
    )


def test_a_token_for_each_registry_that_is_named() -> None:
    """GetAuthorizationToken answers a token of 12 hours for each registry, at its own address.

    Without names, for the account's.
    """
    registry = Registry(account=ACCOUNT, region="cn-north-1", now=lambda: NOW)
    rows = registry.run("GetAuthorizationToken", {"registryIds": ["999999999999", ACCOUNT]})[
        "authorizationData"
    ]
    assert [row["proxyEndpoint"] for row in rows] == [
        f"https://{registry_id}.dkr.ecr.cn-north-1.amazonaws.com.cn"
        for registry_id in ("999999999999", ACCOUNT)
    ]
    assert [
        row["expiresAt"] for row in registry.run("GetAuthorizationToken", {})["authorizationData"]
    ] == [NOW + 12 * 3600]
