"""A push and a pull by another client: `journey.py CLIENT POLICY [PROGRAM]`.

CLIENT is `boto3`, `capo` or `aws`, and POLICY is a lifecycle policy. With `ecr-public` in its
place, the client pushes to ECR Public. The program runs in an
environment of that client, finds the registry by environment variables, and prints the results as
JSON. PROGRAM is an AWS command line elsewhere, which may be too old to read its endpoint from the
environment.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any, cast

PARTS = (bytes(5 * 1024 * 1024), b"the rest")
CONFIG = b"{}"
PUBLIC = "ecr-public"
PROGRAM = 3  # the position of an argument
TYPES = {
    "layer": "application/vnd.oci.image.layer.v1.tar+gzip",
    "config": "application/vnd.oci.image.config.v1+json",
}


class ResponseError(Exception):
    """An error response: its code, and the members that the client exposes."""

    def __init__(self, code: str, members: dict[str, Any]) -> None:
        super().__init__(code)
        self.code = code
        self.members = members


class Boto3:
    """boto3's client of a service."""

    def __init__(self, service: str = "ecr") -> None:
        self._client: Any = importlib.import_module("boto3").client(service)
        self._error: Any = importlib.import_module("botocore.exceptions").ClientError

    def ask(self, operation: str, **members: Any) -> dict[str, Any]:
        """Call the method of this name, with members named as in Python."""
        try:
            answer: Any = getattr(self._client, operation)(
                **{camel(name): value for name, value in members.items()}
            )
        except self._error as error:
            raise ResponseError(error.response["Error"]["Code"], error.response) from error
        return dict(answer)


class Capo:
    """capo-ecr's client, an SDK without botocore.

    It names members as Python does, in requests and responses.
    """

    def __init__(self) -> None:
        capo: Any = importlib.import_module("capo_ecr")
        self._client: Any = capo.ECRClient()
        self._error: Any = capo.errors.ServiceError

    def ask(self, operation: str, **members: Any) -> dict[str, Any]:
        """Call the method of this name."""
        try:
            answer: Any = getattr(self._client, operation)(
                **{name: snaked(value) for name, value in members.items()}
            )
        except self._error as error:
            raise ResponseError(error.code, camelled(dict(error.data))) from error
        return dict(camelled(answer))


class Aws:
    """The AWS command line: one process for each request to a service."""

    def __init__(self, service: str = "ecr") -> None:
        self._service = service
        self._program = [str(Path(sys.executable).with_name("aws"))]
        if len(sys.argv) > PROGRAM:
            endpoint = os.environ["AWS_ENDPOINT_URL_ECR"]
            self._program = [sys.argv[PROGRAM], "--endpoint-url", endpoint]

    def ask(self, operation: str, **members: Any) -> dict[str, Any]:
        """Run the command of this name. Bytes are passed in a file."""
        with tempfile.TemporaryDirectory() as folder:
            options = [
                word
                for name, value in members.items()
                for word in self._option(name, value, Path(folder) / name)
            ]
            command = [
                *self._program,
                self._service,
                operation.replace("_", "-"),
                "--output",
                "json",
                *options,
            ]
            said = subprocess.run(command, capture_output=True, text=True, check=False)

        if said.returncode:
            found = re.search(r"An error occurred \((\w+)\)", said.stderr)
            raise ResponseError(found[1] if found else said.stderr, {})

        # A response without members is printed as nothing.
        return dict(json.loads(said.stdout or "{}"))

    def _option(self, name: str, value: Any, path: Path) -> list[str]:
        if isinstance(value, bytes):
            path.write_bytes(value)
            value = f"fileb://{path}"
        values = listed(value) if isinstance(value, list) else [value]
        return [
            f"--{name.replace('_', '-')}",
            *(each if isinstance(each, str) else json.dumps(each) for each in values),
        ]


def camel(name: str) -> str:
    """Return the API's name of a member."""
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


def listed(value: Any) -> list[Any]:
    """Return the items of a list."""
    return [*value]


def camelled(value: Any) -> Any:
    """Return a value with its members named as in the API."""
    if isinstance(value, dict):
        return {camel(name): camelled(each) for name, each in cast("dict[str, Any]", value).items()}
    return [camelled(each) for each in listed(value)] if isinstance(value, list) else value


def snaked(value: Any) -> Any:
    """Return a value with its members named as in Python."""
    if isinstance(value, list):
        return [snaked(each) for each in listed(value)]
    if not isinstance(value, dict):
        return value
    return {
        re.sub(r"\B[A-Z]", lambda found: f"_{found[0]}", name).lower(): each
        for name, each in cast("dict[str, Any]", value).items()
    }


def digest_of(data: bytes) -> str:
    """Return the digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def upload(client: Any, *parts: bytes) -> str:
    """Upload a layer in parts, and return the digest in the response."""
    upload_id = client.ask("initiate_layer_upload", repository_name="team/app")["uploadId"]
    first = 0

    for part in parts:
        place = {"part_first_byte": first, "part_last_byte": first + len(part) - 1}
        told = client.ask(
            "upload_layer_part",
            repository_name="team/app",
            upload_id=upload_id,
            layer_part_blob=part,
            **place,
        )
        first = told["lastByteReceived"] + 1

    whole = digest_of(b"".join(parts))

    return str(
        client.ask(
            "complete_layer_upload",
            repository_name="team/app",
            upload_id=upload_id,
            layer_digests=[whole],
        )["layerDigest"]
    )


def digests_of_ours(client: Any) -> list[str]:
    """Pull the image that our client pushed, and return the digests of what arrived."""
    place = {"repository_name": "team/ours"}
    [image] = client.ask("batch_get_image", **place, image_ids=[{"imageTag": "1.0"}])["images"]
    manifest = json.loads(image["imageManifest"])
    pulled = [image["imageManifest"].encode()]
    for blob in (manifest["config"], *manifest["layers"]):
        asked = {"layer_digest": blob["digest"]}
        url = client.ask("get_download_url_for_layer", **place, **asked)["downloadUrl"]
        with urllib.request.urlopen(url) as response:  # noqa: S310 (the local ECR's)
            pulled.append(response.read())
    return [digest_of(data) for data in pulled]


def availability(client: Any, *digests: str) -> list[tuple[str, int | None]]:
    """Check digests, and return the availability and the size of each."""
    answer = client.ask(
        "batch_check_layer_availability", repository_name="team/app", layer_digests=list(digests)
    )
    rows = {row["layerDigest"]: row for row in answer["layers"]}
    return [
        (rows[digest]["layerAvailability"], rows[digest].get("layerSize")) for digest in digests
    ]


def rejection(client: Any, operation: str, **members: Any) -> ResponseError:
    """Return the error that a request causes."""
    try:
        client.ask(operation, **members)
    except ResponseError as error:
        return error
    return ResponseError("none", {})


def settings(client: Any, arn: str, policy: str) -> dict[str, Any]:
    """List the images, set tags and a policy, and return what the client reads of them."""
    app = {"repository_name": "team/app"}
    listed = client.ask("list_images", **app)["imageIds"]
    described = client.ask("describe_images", **app)["imageDetails"]
    tags = [{"Key": "team", "Value": "a"}]
    client.ask("tag_resource", resource_arn=arn, tags=tags)
    client.ask("put_lifecycle_policy", **app, lifecycle_policy_text=policy)
    kept = client.ask("get_lifecycle_policy", **app)["lifecyclePolicyText"]
    [tag] = client.ask("list_tags_for_resource", resource_arn=arn)["tags"]

    return {
        "listed": [image["imageTag"] for image in listed],
        "described": [image["imageSizeInBytes"] for image in described],
        "tags": [*tag.values()],
        "policy": kept == policy,
    }


def main(client: Any, policy: str) -> dict[str, Any]:
    """Push an image, pull it, send some invalid requests, and return the results."""
    app = {"repository_name": "team/app"}
    repository = client.ask("create_repository", **app)["repository"]
    seen: dict[str, Any] = {"uri": repository["repositoryUri"]}
    layer, config = digest_of(b"".join(PARTS)), digest_of(CONFIG)
    seen["before"] = availability(client, layer, config)
    seen["uploaded"] = [upload(client, *PARTS) == layer, upload(client, CONFIG) == config]
    seen["after"] = availability(client, layer, config)

    blobs = [
        {"mediaType": TYPES[kind], "digest": digest, "size": size}
        for kind, digest, size in (("config", config, 2), ("layer", layer, 5242888))
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blobs[0],
        "layers": blobs[1:],
    }
    # An unusual indent, so that only a server that keeps the bytes returns them.
    manifest = json.dumps(document, indent=3)
    seen["put"] = client.ask("put_image", **app, image_manifest=manifest, image_tag="1.0")["image"][
        "imageId"
    ]["imageDigest"] == digest_of(manifest.encode())
    got = client.ask("batch_get_image", **app, image_ids=[{"imageTag": "1.0"}, {"imageTag": "2.0"}])
    seen["got"] = [image["imageManifest"] == manifest for image in got["images"]]
    seen["missing"] = [failure["failureCode"] for failure in got["failures"]]
    url = client.ask("get_download_url_for_layer", **app, layer_digest=layer)["downloadUrl"]
    with urllib.request.urlopen(url) as response:  # noqa: S310 (the local ECR's)
        seen["downloaded"] = digest_of(response.read()) == layer

    seen["ours"] = digests_of_ours(client)
    seen |= settings(client, repository["repositoryArn"], policy)

    upload_id = client.ask("initiate_layer_upload", **app)["uploadId"]
    late = rejection(
        client,
        "upload_layer_part",
        **app,
        upload_id=upload_id,
        part_first_byte=9,
        part_last_byte=9,
        layer_part_blob=b"x",
    )
    client.ask(
        "upload_layer_part",
        **app,
        upload_id=upload_id,
        part_first_byte=0,
        part_last_byte=3,
        layer_part_blob=b"1234",
    )
    again = rejection(
        client,
        "upload_layer_part",
        **app,
        upload_id=upload_id,
        part_first_byte=0,
        part_last_byte=3,
        layer_part_blob=b"1234",
    )
    seen["resume"] = again.members.get("lastValidByteReceived")
    seen["errors"] = [
        late.code,
        again.code,
        rejection(client, "create_repository", **app).code,
        rejection(
            client, "complete_layer_upload", **app, upload_id=upload_id, layer_digests=[layer]
        ).code,
        rejection(
            client,
            "batch_check_layer_availability",
            repository_name="team/none",
            layer_digests=[layer],
        ).code,
        rejection(
            client, "get_download_url_for_layer", **app, layer_digest=digest_of(b"never")
        ).code,
        rejection(client, "put_image", **app, image_manifest=manifest, image_tag="1.0").code,
    ]
    return seen


def push_to_public(client: Any) -> dict[str, Any]:
    """Push an image to ECR Public, send some invalid requests, and return the results."""
    app = {"repository_name": "team/app"}
    repository = client.ask("create_repository", **app)["repository"]
    [registry] = client.ask("describe_registries")["registries"]
    seen: dict[str, Any] = {
        "uri": repository["repositoryUri"],
        "alias": registry["aliases"][0]["name"],
        "token": sorted(client.ask("get_authorization_token")["authorizationData"]),
    }

    layer, config = digest_of(b"".join(PARTS)), digest_of(CONFIG)
    seen["before"] = availability(client, layer, config)
    seen["uploaded"] = [upload(client, *PARTS) == layer, upload(client, CONFIG) == config]
    seen["after"] = availability(client, layer, config)

    blobs = {"mediaType": TYPES["config"], "digest": config, "size": len(CONFIG)}
    layers = [{"mediaType": TYPES["layer"], "digest": layer, "size": sum(map(len, PARTS))}]
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blobs,
        "layers": layers,
    }
    put = {**app, "image_manifest": json.dumps(document, indent=3), "image_tag": "1.0"}
    image = client.ask("put_image", **put)["image"]["imageId"]["imageDigest"]
    seen["put"] = image == digest_of(put["image_manifest"].encode())

    described = client.ask("describe_images", **app, image_ids=[{"imageTag": "1.0"}])
    seen["described"] = [each["imageDigest"] == image for each in described["imageDetails"]]
    [named] = client.ask("describe_repositories", repository_names=["team/app"])["repositories"]
    seen["named"] = named["repositoryArn"]
    check = {"repository_name": "team/app", "layer_digests": [layer]}
    seen["errors"] = [
        rejection(client, "create_repository", **app).code,
        rejection(client, "put_image", **put).code,
        rejection(client, "batch_check_layer_availability", **check, registry_id="gone").code,
        rejection(client, "describe_images", repository_name="team/none").code,
        rejection(client, "describe_images", **app, image_ids=[{"imageTag": "none"}]).code,
    ]
    return seen


if __name__ == "__main__":
    # The test reads this output.
    if sys.argv[2] == PUBLIC:
        public = {"boto3": Boto3, "aws": Aws}[sys.argv[1]](PUBLIC)
        print(json.dumps(push_to_public(public)))  # noqa: T201
    else:
        client = {"boto3": Boto3, "capo": Capo, "aws": Aws}[sys.argv[1]]()
        print(json.dumps(main(client, sys.argv[2])))  # noqa: T201
