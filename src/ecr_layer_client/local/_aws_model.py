"""ECR's service model as botocore ships it, read once per process."""

from __future__ import annotations

import functools
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel


@functools.cache
def data_loader() -> Any:
    """Return the botocore loader that every session of this process's local registries shares.

    Reading the JSON behind a client costs most of making one, and a loader caches what it has read.
    """
    return Loader()  # with botocore's own data and ~/.aws/models, as every session has


@functools.cache
def service_model() -> Any:
    """Return the newest ECR service model that the installed botocore holds."""
    return ServiceModel(data_loader().load_service_model("ecr", "service-2"), service_name="ecr")
