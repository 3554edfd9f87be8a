"""A push to ECR Public by another client: `public_journey.py CLIENT`, with `boto3` or `aws`.

The program runs in an environment of that client, finds the registry by environment variables, and
prints the results as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from journey import CONFIG, PARTS, TYPES, Aws, Boto3, availability, digest_of, rejection, upload


def main(client: Any) -> dict[str, Any]:
    """Push an image, send some invalid requests, and return the results."""
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
    client = {"boto3": Boto3, "aws": Aws}[sys.argv[1]]("ecr-public")
    print(json.dumps(main(client)))  # noqa: T201
