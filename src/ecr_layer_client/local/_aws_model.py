"""ECR's service model as botocore ships it, read once per process."""

from __future__ import annotations

import functools
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel


@functools.cache
def data_loader() -> Any:
    """Return the botocore loader that all local sessions of this process share.

    Reading JSON data is most of the cost of creating a client, and a loader caches what it reads.
    The loader has botocore's own data and `~/.aws/models`, as in every botocore session.
    """
    return Loader()


@functools.cache
def service_model() -> Any:
    """Return the newest ECR service model that the installed botocore has."""
    return ServiceModel(data_loader().load_service_model("ecr", "service-2"), service_name="ecr")


@functools.cache
def error_codes() -> frozenset[str]:
    """Return the error codes of the service model."""
    return frozenset(name for name in service_model().shape_names if name.endswith("Exception"))
