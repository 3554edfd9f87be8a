"""A local ECR of each service, for the tests that run on both."""

from __future__ import annotations

from typing import Any

from ecr_layer_client.local import LocalECR


def _public(name: Any) -> str:
    return f"public.ecr.aws/local/{name}"


class PublicECR(LocalECR):
    """A local ECR whose contents and clients are those of ECR Public."""

    def create_repository(self, name: Any, **options: Any) -> str:
        """Make sure that a public repository exists."""
        return super().create_repository(_public(name), **options)

    def seed(self, name: Any, *given: Any, **options: Any) -> None:
        """Add layers to a public repository."""
        super().seed(_public(name), *given, **options)

    def put_layer(self, name: Any, *given: Any, **options: Any) -> str:
        """Add a layer to a public repository."""
        return super().put_layer(_public(name), *given, **options)

    def client(self, *, observer: Any = None, **options: Any) -> Any:
        """Return a client of ECR Public."""
        return self.public_client(observer=observer, **options)


# The local ECR of each service, by the service's name in botocore.
ECRS: dict[str, type[LocalECR]] = {"ecr": LocalECR, "ecr-public": PublicECR}
