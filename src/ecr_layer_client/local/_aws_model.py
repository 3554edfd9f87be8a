"""The service models of ECR and ECR Public as botocore ships them, read once per process."""

from __future__ import annotations

import functools
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel

from ecr_layer_client._models.services import SERVICES


@functools.cache
def data_loader() -> Any:
    """Return the botocore loader that all local sessions of this process share.

    Reading JSON data is most of the cost of creating a client, and a loader caches what it reads.
    The loader has botocore's own data and `~/.aws/models`, as in every botocore session.
    """
    return Loader()


@functools.cache
def service_model(name: str = "ecr") -> Any:
    """Return the newest model of a service that the installed botocore has."""
    return ServiceModel(data_loader().load_service_model(name, "service-2"), service_name=name)


@functools.cache
def error_codes() -> frozenset[str]:
    """Return the error codes of the service models."""
    return frozenset(
        shape
        for service in SERVICES
        for shape in service_model(service).shape_names
        if shape.endswith("Exception")
    )
