"""The API of ECR Public in the local ECR, as boto3's client sees it."""

from __future__ import annotations

import base64
import importlib
import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ACCOUNT = "123456789012"
LAYER = b"a layer"
DIGEST = f"sha256:{sha256(LAYER).hexdigest()}"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": DIGEST,
            "size": len(LAYER),
        },
        "layers": [],
    }
)
IMAGE = f"sha256:{sha256(MANIFEST.encode()).hexdigest()}"


@pytest.fixture
def ecr() -> Iterator[LocalECR]:
    """Provide a local ECR in its own thread."""
    with LocalECR() as local:
        yield local


@pytest.fixture
def public(ecr: LocalECR) -> Any:
    """Provide boto3's client of ECR Public, and the repository `app`."""
    ecr.create_repository("public.ecr.aws/local/app")
    return public_client(ecr)


def boto(service: str, ecr: LocalECR, **options: str) -> Any:
    """Return boto3's client of a service."""
    boto3: Any = importlib.import_module("boto3")  # it has no types
    return boto3.client(service, **{**ecr.client_kwargs, **options})


def public_client(ecr: LocalECR, **options: str) -> Any:
    """Return boto3's client of ECR Public."""
    return boto("ecr-public", ecr, **options)


def pushed(public: Any, **registry: str) -> Any:
    """Upload a layer, put an image with it, and return the image."""
    where = {"repositoryName": "app", **registry}
    upload = {"uploadId": public.initiate_layer_upload(**where)["uploadId"], **where}
    part = {"partFirstByte": 0, "partLastByte": len(LAYER) - 1, "layerPartBlob": LAYER}
    public.upload_layer_part(**upload, **part)
    public.complete_layer_upload(**upload, layerDigests=[DIGEST])
    return public.put_image(**where, imageManifest=MANIFEST, imageTag="1.0")["image"]


def code_of(function: Callable[..., Any], **members: Any) -> str:
    """Return the code of the error that a call raises."""
    with pytest.raises(ClientError) as caught:
        function(**members)
    error: Any = caught.value.response
    return str(error["Error"]["Code"])


def without_times(description: dict[str, Any]) -> dict[str, Any]:
    """Return a description without its members that differ each time."""
    return {name: value for name, value in description.items() if not name.endswith("At")}


def test_create_repository(ecr: LocalECR) -> None:
    """A new repository has the members that ECR Public's model has, and no others."""
    created = public_client(ecr).create_repository(repositoryName="team/app")["repository"]
    assert without_times(created) == {
        "repositoryArn": f"arn:aws:ecr-public::{ACCOUNT}:repository/team/app",
        "registryId": ACCOUNT,
        "repositoryName": "team/app",
        "repositoryUri": "public.ecr.aws/local/team/app",
    }


@pytest.mark.parametrize("registry", [{}, {"registryId": "local"}, {"registryId": ACCOUNT}])
def test_push_and_check(public: Any, registry: dict[str, str]) -> None:
    """A layer that was uploaded is available. The registry is the default, an alias or an id."""
    where = {"repositoryName": "app", "layerDigests": [DIGEST], **registry}
    before = public.batch_check_layer_availability(**where)["layers"]
    image = pushed(public, **registry)
    after = public.batch_check_layer_availability(**where)["layers"]
    assert [row["layerAvailability"] for row in before + after] == ["UNAVAILABLE", "AVAILABLE"]
    assert image["imageId"] == {"imageDigest": IMAGE, "imageTag": "1.0"}


def test_describe_images(public: Any) -> None:
    """An image is described with the members that ECR Public's model has, and no others."""
    pushed(public)
    [described] = public.describe_images(repositoryName="app")["imageDetails"]
    assert without_times(described) == {
        "registryId": ACCOUNT,
        "repositoryName": "app",
        "imageDigest": IMAGE,
        "imageTags": ["1.0"],
        "imageSizeInBytes": len(LAYER),
        "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactMediaType": "application/vnd.oci.image.config.v1+json",
    }


def test_describe_registries(ecr: LocalECR) -> None:
    """The caller's registry is described with its alias."""
    [registry] = public_client(ecr).describe_registries()["registries"]
    assert (registry["registryUri"], registry["aliases"][0]["name"]) == (
        "public.ecr.aws/local",
        "local",
    )


def test_the_alias_is_an_option() -> None:
    """A local ECR has the alias that it is given."""
    with LocalECR(public_alias="team") as ecr:
        uri = ecr.create_repository("public.ecr.aws/team/app")
    assert uri == "public.ecr.aws/team/app"


def test_authorization_token(ecr: LocalECR) -> None:
    """The token is one of the user AWS. Its data is an object, and not a list."""
    data = public_client(ecr).get_authorization_token()["authorizationData"]
    assert base64.b64decode(data["authorizationToken"]).startswith(b"AWS:")
    assert sorted(data) == ["authorizationToken", "expiresAt"]


def test_delete(public: Any) -> None:
    """An image and a repository can be deleted."""
    pushed(public)
    public.batch_delete_image(repositoryName="app", imageIds=[{"imageTag": "1.0"}])
    public.delete_repository(repositoryName="app")
    assert public.describe_repositories()["repositories"] == []


def test_private_repositories_are_others(ecr: LocalECR, public: Any) -> None:
    """A private repository of the same name has other layers."""
    ecr.put_layer("app", LAYER)
    where = {"repositoryName": "app", "layerDigests": [DIGEST]}
    [row] = public.batch_check_layer_availability(**where)["layers"]
    assert row["layerAvailability"] == "UNAVAILABLE"


def test_errors(public: Any) -> None:
    """Unknown registries and repositories, and an alias where only an id is allowed, are errors."""
    initiate, describe = public.initiate_layer_upload, public.describe_images
    assert [
        code_of(initiate, repositoryName="app", registryId="other"),
        code_of(initiate, repositoryName="app", registryId="210987654321"),
        code_of(initiate, repositoryName="gone"),
        code_of(describe, repositoryName="app", registryId="local"),
        code_of(describe, repositoryName="app", imageIds=[{"imageTag": "gone"}]),
        code_of(public.create_repository, repositoryName="app"),
        code_of(public.get_repository_policy, repositoryName="app"),
    ] == [
        "RegistryNotFoundException",
        "RegistryNotFoundException",
        "RepositoryNotFoundException",
        "InvalidParameterException",
        "ImageNotFoundException",
        "RepositoryAlreadyExistsException",
        "UnknownOperationException",
    ]


@pytest.mark.parametrize(
    ("region", "signed_for", "code"),
    [
        ("eu-west-1", "eu-west-1", "UnsupportedCommandException"),
        ("us-east-1", "eu-west-1", "InvalidSignatureException"),
    ],
)
def test_the_region_of_the_signature(region: str, signed_for: str, code: str) -> None:
    """ECR Public is not served in other Regions than its own."""
    with LocalECR(region=region) as ecr:
        client = public_client(ecr, region_name=signed_for)
        assert code_of(client.describe_registries) == code


@pytest.mark.parametrize("signed_for", ["us-east-1", "us-west-2"])
def test_its_own_regions_are_served_everywhere(signed_for: str) -> None:
    """A local ECR of another Region serves ECR Public in its own Regions, too."""
    with LocalECR(region="eu-west-1") as ecr:
        client = public_client(ecr, region_name=signed_for)
        assert client.describe_repositories()["repositories"] == []


def test_the_parts_of_a_layer_are_limited(public: Any, ecr: LocalECR) -> None:
    """One part more than ECR Public's quota of 1,000 is LimitExceededException."""
    where = {"repositoryName": "app"}
    upload_id = public.initiate_layer_upload(**where)["uploadId"]
    with ecr._contents._public.viewing("app") as stored:
        upload = stored.uploads[upload_id]
    for number in range(1000):
        upload.add(number, number, b"x")
    part = {"partFirstByte": 1000, "partLastByte": 1000, "layerPartBlob": b"x"}
    code = code_of(public.upload_layer_part, uploadId=upload_id, **where, **part)
    assert code == "LimitExceededException"


def test_quotas_are_counted_apart(ecr: LocalECR, public: Any) -> None:
    """A private request takes nothing from the quota of ECR Public."""
    ecr.set_quota(0.001, burst=1)
    boto("ecr", ecr).describe_repositories()
    assert len(public.describe_repositories()["repositories"]) == 1
    assert code_of(public.describe_repositories) == "ThrottlingException"


def test_contents_are_kept_in_the_data_directory(tmp_path: Path) -> None:
    """Public repositories outlive the local ECR, apart from private ones."""
    LocalECR(data=tmp_path).put_layer("public.ecr.aws/local/app", LAYER)
    with LocalECR(data=tmp_path) as ecr:
        where = {"repositoryName": "app", "layerDigests": [DIGEST]}
        [row] = public_client(ecr).batch_check_layer_availability(**where)["layers"]
        private = boto("ecr", ecr).describe_repositories()["repositories"]
    assert (row["layerAvailability"], private) == ("AVAILABLE", [])


def test_contents_of_another_account(ecr: LocalECR) -> None:
    """A test can add a repository of another account, which then exists."""
    digest = ecr.put_layer("public.ecr.aws/210987654321/app", LAYER)
    where = {"repositoryName": "app", "registryId": "210987654321", "layerDigests": [digest]}
    [row] = public_client(ecr).batch_check_layer_availability(**where)["layers"]
    assert row["layerAvailability"] == "AVAILABLE"


def test_an_image_is_seeded(ecr: LocalECR) -> None:
    """A test can add an image by its public name."""
    digest = ecr.seed_image("public.ecr.aws/local/app", [LAYER], "1.0")
    [described] = public_client(ecr).describe_images(repositoryName="app")["imageDetails"]
    assert described["imageDigest"] == digest


def test_an_unknown_alias_is_refused(ecr: LocalECR) -> None:
    """Contents of an alias that the local ECR does not have are refused with what to do."""
    with pytest.raises(ValueError, match="has the alias 'local' in ECR Public, and not 'team': "):
        ecr.create_repository("public.ecr.aws/team/app")


def test_nothing_is_archived(ecr: LocalECR) -> None:
    """An image of ECR Public can't be archived."""
    digest = ecr.seed_image("public.ecr.aws/local/app", [LAYER])
    with pytest.raises(ValueError, match="which archives no images"):
        ecr.archive("public.ecr.aws/local/app", digest)
