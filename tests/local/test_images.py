"""Images of the local registry: PutImage, and the operations that get, list and delete images."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

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
from local.one_repository import (
    ABSENT,
    ACCOUNT,
    CONFIG,
    LAYER,
    NOW,
    OneRepository,
    a_manifest,
    an_index,
    digest_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY: dict[str, str] = {}
PLACE = f"the repository with name 'app' in the registry with id '{ACCOUNT}'"


# -- PutImage


def test_an_image_is_put_and_returned() -> None:
    """PutImage returns the image with its digest, its tag and its manifest."""
    text = a_manifest()
    image_id = {"imageDigest": digest_of(text), "imageTag": "1.0"}
    expected = {
        "registryId": ACCOUNT,
        "repositoryName": "app",
        "imageId": image_id,
        "imageManifest": text,
        "imageManifestMediaType": OCI_MANIFEST,
    }

    assert OneRepository().run("PutImage", imageManifest=text, imageTag="1.0") == {
        "image": expected
    }


@given(st.text(alphabet=" \n\t", max_size=5), st.text(st.characters(codec="utf-8"), max_size=5))
def test_the_digest_is_that_of_the_exact_text(space: str, note: str) -> None:
    """The digest is the sha256 of the manifest's own bytes, and the bytes return unchanged."""
    repository, manifest = OneRepository(), json.loads(a_manifest(note=note))
    text = space + json.dumps(manifest, ensure_ascii=False, indent=len(space)) + space
    digest = repository.put(text)
    images = repository.run("BatchGetImage", imageIds=[{"imageDigest": digest}])["images"]

    assert (digest, [image["imageManifest"] for image in images]) == (digest_of(text), [text])


def test_missing_layers_are_listed_in_brackets() -> None:
    """LayersNotFoundException lists the missing layers, each once."""
    code, message = OneRepository().rejected(
        "PutImage", imageManifest=a_manifest(ABSENT, LAYER, ABSENT)
    )
    where = f"repository with name 'app' in the registry with id '{ACCOUNT}'"
    assert (code, message) == (
        "LayersNotFoundException",
        f"Layers with digests '[{ABSENT}]' required for pushing image into {where} do not exist",
    )


@pytest.mark.parametrize(
    ("manifest", "members"),
    [
        # Foreign layers, which no push uploads.
        (a_manifest(layers=[{"digest": ABSENT, "urls": ["https://example.com/base"]}]), {}),
        # Assumed: a manifest may use either letter case, because registries store lower case.
        (a_manifest("sha256:" + LAYER[7:].upper()), {}),
        (a_manifest(mediaType=None), {"imageManifestMediaType": OCI_MANIFEST}),
        (a_manifest(), {"imageDigest": "sha256:" + digest_of(a_manifest())[7:].upper()}),
    ],
    ids=["foreign", "upper-case", "media-type", "digest"],
)
def test_an_unusual_manifest_is_put(manifest: str, members: dict[str, str]) -> None:
    """Foreign layers may be missing, and digests and the media type may be given otherwise."""
    assert OneRepository().put(manifest, **members) == digest_of(manifest)


@pytest.mark.parametrize(
    ("manifest", "media_type"),
    [
        (a_manifest(config={"digest": ABSENT}), OCI_MANIFEST),
        (json.dumps({"schemaVersion": 1, "fsLayers": [{"blobSum": ABSENT}]}), DOCKER_SCHEMA_1),
    ],
    ids=["config", "schema-1"],
)
def test_configs_and_blob_sums_are_layers(manifest: str, media_type: str) -> None:
    """A missing config, or a missing blobSum of Docker's first schema, is a missing layer."""
    request = {"imageManifest": manifest, "imageManifestMediaType": media_type}
    assert OneRepository().rejected("PutImage", **request)[0] == "LayersNotFoundException"


def test_an_index_comes_after_its_images() -> None:
    """An index of missing images is ReferencedImagesNotFoundException, with a list of them."""
    code, message = OneRepository().rejected("PutImage", imageManifest=an_index(ABSENT))
    assert (code, f"Images with digests '[{ABSENT}]'" in message) == (
        "ReferencedImagesNotFoundException",
        True,
    )


def test_an_index_of_existing_images_is_put() -> None:
    """An index can be put once its images exist."""
    repository = OneRepository()
    text = an_index(repository.put(a_manifest()))
    assert repository.put(text, "all") == digest_of(text)


@pytest.mark.parametrize("setting", ["MUTABLE", "IMMUTABLE"])
@pytest.mark.parametrize("tag", ["1.0", None])
def test_the_same_image_and_tag_already_exist(setting: str, tag: str | None) -> None:
    """PutImage without a change is ImageAlreadyExistsException (if immutable: assumed)."""
    repository, text = OneRepository(imageTagMutability=setting), a_manifest()
    repository.put(text, tag)
    code, message = repository.rejected(
        "PutImage", imageManifest=text, **({"imageTag": tag} if tag else {})
    )
    expected = (
        f"Image with digest '{digest_of(text)}' and tag '{tag or 'null'}' already exists in the "
        "repository with name 'app'"
    )

    assert (code, message) == (
        "ImageAlreadyExistsException",
        f"{expected} in registry with id '{ACCOUNT}'",
    )


def test_a_tag_moves() -> None:
    """Putting another image with a tag takes the tag from the first image, which stays."""
    repository = OneRepository()
    first = repository.put(a_manifest(), "latest")
    second = repository.put(a_manifest(note="new"), "latest")
    assert repository.get({"imageTag": "latest"}, {"imageDigest": first}) == (
        [(second, "latest"), (first, None)],
        [],
    )


def test_another_tag_for_an_existing_image() -> None:
    """An image that is put again with another tag has both tags."""
    repository = OneRepository()
    digest = repository.put(a_manifest(), "1.0")
    assert repository.put(a_manifest(), "latest") == digest
    assert repository.described() == [{**repository.described()[0], "imageTags": ["1.0", "latest"]}]


@pytest.mark.parametrize(
    ("setting", "filters", "is_rejected"),
    [
        ("IMMUTABLE", None, True),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev-*"], True),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev-*", "v*"], False),
        ("MUTABLE_WITH_EXCLUSION", ["v*"], True),
        ("MUTABLE_WITH_EXCLUSION", ["dev-*"], False),
    ],
)
def test_an_immutable_tag_does_not_move(
    setting: str, filters: list[str] | None, *, is_rejected: bool
) -> None:
    """An immutable tag, also by exclusion filters, is ImageTagAlreadyExistsException."""
    options: dict[str, Any] = {"imageTagMutability": setting}
    if filters is not None:
        options["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": each} for each in filters
        ]
    repository = OneRepository(**options)
    repository.put(a_manifest(), "v1")

    if is_rejected:
        expected = (
            "The image tag 'v1' already exists in the 'app' repository and cannot be overwritten "
            "because the repository is immutable."
        )
        answer = repository.rejected(
            "PutImage", imageManifest=a_manifest(note="new"), imageTag="v1"
        )
        assert answer == ("ImageTagAlreadyExistsException", expected)
    else:
        assert repository.put(a_manifest(note="new"), "v1") == digest_of(a_manifest(note="new"))


def test_a_digest_that_does_not_match_is_rejected() -> None:
    """A given imageDigest must be that of the manifest."""
    code, message = OneRepository().rejected(
        "PutImage", imageManifest=a_manifest(), imageDigest=ABSENT
    )
    assert (code, digest_of(a_manifest()) in message) == ("ImageDigestDoesNotMatchException", True)


@pytest.mark.parametrize(
    ("manifest", "members", "said"),
    [
        ("{", {}, "Invalid JSON syntax"),
        ("[" * 100_000, {}, "Invalid JSON syntax"),
        ("\ud800", {}, "Invalid JSON syntax"),
        ("[]", {}, "it must be an object"),
        ("{}", {}, "Invalid JSON syntax"),
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
def test_an_invalid_manifest_is_rejected(manifest: str, members: dict[str, str], said: str) -> None:
    """An unreadable manifest is InvalidParameterException with the reason (wordings assumed)."""
    code, message = OneRepository().rejected("PutImage", imageManifest=manifest, **members)
    assert (code, f"failed to satisfy constraint: '{said}" in message) == (
        "InvalidParameterException",
        True,
    )


def test_a_put_sets_the_media_types_of_its_layers() -> None:
    """After PutImage a check returns the layer's media type from the manifest (assumed)."""
    repository = OneRepository()
    repository.put(a_manifest())
    assert (
        repository.run("BatchCheckLayerAvailability", layerDigests=[LAYER])["layers"][0][
            "mediaType"
        ]
        == OCI_LAYER
    )


# -- BatchGetImage


def test_an_image_is_found_by_tag_by_digest_and_by_both() -> None:
    """A tag returns one row, a digest one for each tag, and no row repeats (assumed)."""
    repository = OneRepository()
    digest = repository.put(a_manifest(), "a")
    repository.put(a_manifest(), "b")

    assert repository.get({"imageTag": "b"}) == ([(digest, "b")], [])
    assert repository.get({"imageDigest": digest}) == ([(digest, "a"), (digest, "b")], [])
    assert repository.get({"imageDigest": digest, "imageTag": "a"}, {"imageTag": "a"}) == (
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
def test_a_missing_image_fails_alone(operation: str, image_id: dict[str, str], code: str) -> None:
    """A missing image is a failure of its own, and the others are returned."""
    repository = OneRepository()
    repository.put(a_manifest(), "1")
    repository.put(a_manifest(note="new"), "2")
    answer = repository.run(operation, imageIds=[image_id, {"imageTag": "2"}])
    assert [(failure["imageId"], failure["failureCode"]) for failure in answer["failures"]] == [
        (image_id, code)
    ]
    assert len(answer["images"] if operation == "BatchGetImage" else answer["imageIds"]) == 1


def test_a_media_type_that_is_not_accepted_is_not_found() -> None:
    """A media type that is not in acceptedMediaTypes causes ImageNotFound (assumed)."""
    repository = OneRepository()
    digest = repository.put(a_manifest(), "1")

    assert repository.get({"imageTag": "1"}, acceptedMediaTypes=[DOCKER_MANIFEST]) == (
        [],
        ["ImageNotFound"],
    )
    assert repository.get(
        {"imageTag": "1"}, acceptedMediaTypes=[DOCKER_MANIFEST, OCI_MANIFEST]
    ) == (
        [(digest, "1")],
        [],
    )


# -- BatchDeleteImage


def test_deleting_a_tag_leaves_the_image_its_other_tags() -> None:
    """A tag is removed, and the image is deleted with its last tag."""
    repository = OneRepository()
    digest = repository.put(a_manifest(), "a")
    repository.put(a_manifest(), "b")
    assert repository.delete({"imageTag": "a"}) == ([{"imageDigest": digest, "imageTag": "a"}], [])
    assert repository.get({"imageDigest": digest}) == ([(digest, "b")], [])
    repository.delete({"imageTag": "b"})
    assert repository.get({"imageDigest": digest}) == ([], ["ImageNotFound"])


@pytest.mark.parametrize("tags", [["a", "b"], []], ids=["tagged", "untagged"])
def test_deleting_a_digest_deletes_all_its_tags(tags: list[str]) -> None:
    """A deletion by digest returns one row for each tag, or one without, and the layers stay."""
    repository = OneRepository()
    digest = repository.put(a_manifest(), *tags[:1])
    for tag in tags[1:]:
        repository.put(a_manifest(), tag)
    rows = [{"imageDigest": digest, "imageTag": tag} for tag in tags]

    assert repository.delete({"imageDigest": digest}) == (rows or [{"imageDigest": digest}], [])
    assert (repository.listed(), repository.availability(LAYER)) == ([], "AVAILABLE")


@pytest.mark.parametrize("by", ["imageDigest", "imageTag"])
def test_an_image_that_an_index_lists_is_not_deleted(by: str) -> None:
    """ImageReferencedByManifestList names the index, and the image keeps its last tag."""
    repository = OneRepository()
    digest = repository.put(a_manifest(), "child")
    index = repository.put(an_index(digest), "all")
    image_id = {"imageDigest": digest} if by == "imageDigest" else {"imageTag": "child"}
    failures = repository.run("BatchDeleteImage", imageIds=[image_id])["failures"]

    assert [(each["failureCode"], each["failureReason"]) for each in failures] == [
        ("ImageReferencedByManifestList", f"Requested image referenced by manifest list: [{index}]")
    ]
    assert (
        repository.listed(),
        repository.delete({"imageTag": "all"}, image_id)[1],
        repository.listed(),
    ) == (
        ["all", "child"],
        [],
        [],
    )


def test_an_image_that_an_index_lists_gives_up_a_tag_that_is_not_its_last() -> None:
    """Removing one of two tags deletes no image, so that an index does not prevent it."""
    repository = OneRepository()
    repository.put(a_manifest(), "a")
    repository.put(an_index(repository.put(a_manifest(), "b")))
    assert (repository.delete({"imageTag": "a"})[1], repository.listed()) == ([], ["", "b"])


# -- ListImages and DescribeImages


def test_images_are_listed_a_row_for_each_tag() -> None:
    """ListImages returns a row for each tag, and one for an untagged image. tagStatus filters."""
    repository = OneRepository()
    for tag in ("a", "b"):
        repository.put(a_manifest(), tag)

    repository.put(a_manifest(note="untagged"))
    assert (
        repository.listed(),
        repository.listed(tagStatus="TAGGED"),
        repository.listed(tagStatus="UNTAGGED"),
    ) == (["", "a", "b"], ["a", "b"], [""])


def test_an_image_is_described() -> None:
    """DescribeImages returns size, tags, media types, time and status."""
    repository = OneRepository()
    digest = repository.put(a_manifest(subject={"digest": ABSENT}), "1.0")
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

    assert repository.described() == [expected]


def test_an_index_is_as_large_as_its_largest_image() -> None:
    """The size of an index is the size of its largest image."""
    repository = OneRepository()
    small = repository.put(a_manifest(layers=[]))
    index = repository.put(an_index(small, repository.put(a_manifest())))
    assert [
        row["imageSizeInBytes"] for row in repository.described(imageIds=[{"imageDigest": index}])
    ] == [10]


def test_images_are_described_by_name_once_each() -> None:
    """DescribeImages describes each image once, however often the request names it."""
    repository = OneRepository()
    digest = repository.put(a_manifest(), "1")
    rows = repository.described(imageIds=[{"imageTag": "1"}, {"imageDigest": digest}])
    assert [row["imageDigest"] for row in rows] == [digest]


@pytest.mark.parametrize(
    ("members", "code", "said"),
    [
        (
            {"imageIds": [{"imageTag": "nope"}]},
            "ImageNotFoundException",
            (
                "The image with imageId {imageDigest:'null', imageTag:'nope'} does not exist "
                f"within {PLACE}"
            ),
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
def test_describing_rejects_what_ecr_rejects(members: dict[str, Any], code: str, said: str) -> None:
    """DescribeImages rejects unknown images, and names together with pages."""
    repository = OneRepository()
    repository.put(a_manifest(), "1")
    answered, message = repository.rejected("DescribeImages", **members)
    assert (answered, said in message) == (code, True)


@given(st.integers(1, 9), st.integers(0, 7), st.sampled_from(["ListImages", "DescribeImages"]))
def test_the_pages_have_every_image_once(size: int, count: int, operation: str) -> None:
    """The pages have every image once, whatever the size of a page."""
    repository = OneRepository()
    digests = [repository.put(a_manifest(note=str(number))) for number in range(count)]
    found: list[str] = []
    token: dict[str, str] | None = {}

    while token is not None:
        answer = repository.run(operation, maxResults=size, **token)
        rows = answer["imageIds"] if operation == "ListImages" else answer["imageDetails"]
        assert len(rows) == min(size, count - len(found))
        found += [row["imageDigest"] for row in rows]
        token = {"nextToken": answer["nextToken"]} if "nextToken" in answer else None
        assert (token is None) == (len(found) == count)

    assert found == sorted(digests)


class Counted(dict[str, Any]):
    """A mapping that counts how many of its values are read."""

    def __init__(self, values: Any) -> None:
        """Start at zero."""
        super().__init__(values)
        self.reads = 0

    def __getitem__(self, key: str) -> Any:
        """Return a value."""
        self.reads += 1
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, each of which counts."""
        self.reads += len(self)
        return super().__iter__()

    def values(self) -> Any:
        """Return the values, each of which counts."""
        self.reads += len(self)
        return super().values()

    def items(self) -> Any:
        """Return the items, each of which counts."""
        self.reads += len(self)
        return super().items()


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("DescribeImages", {"maxResults": 5}),
        ("DescribeImages", {"maxResults": 5, "filter": {"tagStatus": "TAGGED"}}),
        ("ListImages", {"maxResults": 5}),
        ("GetDownloadUrlForLayer", {"layerDigest": LAYER}),
        ("BatchDeleteImage", {"imageIds": [{"imageTag": "1"}]}),
    ],
    ids=["DescribeImages", "filtered", "ListImages", "GetDownloadUrlForLayer", "BatchDeleteImage"],
)
def test_an_operation_reads_only_the_images_that_it_needs(
    operation: str, members: dict[str, Any]
) -> None:
    """The number of images and tags that an operation reads does not depend on their number."""
    reads: list[int] = []
    for count in (20, 200):
        repository = OneRepository()
        repository.put(a_manifest(), "0")
        for number in range(1, count):
            repository.put(a_manifest(CONFIG, note=str(number)), str(number))
        stored = repository.registry.repository("app")
        stored.images, stored.tags = images, tags = Counted(stored.images), Counted(stored.tags)
        with contextlib.suppress(AwsError):
            repository.run(operation, **members)
        reads.append(images.reads + tags.reads)

    assert reads[0] == reads[1] > 0


# -- archived images


def test_archiving_an_image_archives_layers_that_only_it_has() -> None:
    """Layers that an active image has, too, stay AVAILABLE. The others are ARCHIVED (assumed)."""
    repository = OneRepository()
    own = "sha256:" + "e" * 64
    repository.registry.repository("app").hold([StoredLayer(own, 5, "text/plain")])
    repository.put(a_manifest(), "active")
    repository.registry.archive("app", repository.put(a_manifest(LAYER, own), "old"))
    assert (repository.availability(LAYER), repository.availability(own)) == (
        "AVAILABLE",
        "ARCHIVED",
    )


def test_an_archived_image_is_not_pulled_but_described() -> None:
    """BatchGetImage of an archived image fails with ImageInaccessible (assumed).

    The image is listed and described when the request asks for archived images.
    """
    repository = OneRepository()
    digest = repository.put(a_manifest(), "old")
    repository.now += 5
    repository.registry.archive("app", digest)
    assert repository.get({"imageTag": "old"}) == ([], ["ImageInaccessible"])
    assert (
        repository.listed(),
        repository.listed(imageStatus="ARCHIVED"),
        repository.listed(imageStatus="ANY"),
    ) == ([], ["old"], ["old"])
    details = repository.described(imageIds=[{"imageDigest": digest}])

    assert [(row["imageStatus"], row["lastArchivedAt"]) for row in details] == [
        ("ARCHIVED", NOW + 5)
    ]


def test_pushing_an_archived_image_again_restores_it() -> None:
    """The same PutImage makes an archived image active and its layers AVAILABLE."""
    repository = OneRepository()
    digest = repository.put(a_manifest(), "old")
    repository.registry.archive("app", digest)
    repository.now += 5
    repository.put(a_manifest(), "old")
    repository.put(a_manifest(), "new")
    repository.delete({"imageTag": "new"})

    assert (repository.get({"imageTag": "old"}), repository.availability(LAYER)) == (
        ([(digest, "old")], []),
        "AVAILABLE",
    )
    assert [(row["imagePushedAt"], row["lastActivatedAt"]) for row in repository.described()] == [
        (NOW, NOW + 5)
    ]


# -- repositories with images


def test_a_repository_with_images_is_deleted_only_by_force() -> None:
    """DeleteRepository rejects a repository that has images, in ECR's words.

    With force the repository is deleted and returned.
    """
    repository = OneRepository()
    repository.put(a_manifest())
    expected = (
        f"The repository with name 'app' in registry with id '{ACCOUNT}' cannot be deleted because "
        "it still contains images"
    )
    assert repository.rejected("DeleteRepository") == ("RepositoryNotEmptyException", expected)
    assert repository.run("DeleteRepository", force=True)["repository"]["repositoryName"] == "app"
    assert repository.rejected("DeleteRepository")[0] == "RepositoryNotFoundException"


def test_layers_alone_do_not_keep_a_repository() -> None:
    """A repository that has layers and no image is deleted without force (assumed)."""
    assert OneRepository().run("DeleteRepository")["repository"]["repositoryName"] == "app"


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
    """CreateRepository rejects more than 50 tags, and keys and values that are too long."""
    assert (
        OneRepository().rejected("CreateRepository", repositoryName="other", tags=tags)[0] == code
    )


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
        OneRepository().rejected("CreateRepository", repositoryName="other", **members)[0]
        == "InvalidParameterException"
    )


def test_a_token_for_each_registry_that_is_named() -> None:
    """GetAuthorizationToken returns a token of 12 hours and an address for each registry.

    Without names, it returns a token for the account's registry.
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
