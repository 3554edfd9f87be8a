"""Notebooks and terminals, against the in-memory local ECR and in virtual time."""

from in_memory_client import digests, ecr, pytest_asyncio_loop_factories, transport

__all__ = ["digests", "ecr", "pytest_asyncio_loop_factories", "transport"]
