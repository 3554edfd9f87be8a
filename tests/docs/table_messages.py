"""Calls that cause the messages about tables, by their entries in troubleshooting."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from ecr_layer_client import AWSKeys, ECRLayerClient
from ecr_layer_client.distributed import AssumedRole, RedisLimiter, TableChecker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ecr_layer_client.local import LocalECR

    Case = Callable[[LocalECR], Awaitable[object]]

_COLUMNS = {"repository": ["team/app"], "digest": ["sha256:aa"]}
_NOT_UTF8: Any = pa.Array.from_buffers(
    pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
)
# A value that type checkers would refuse.
_any: Any = object()
_none: Any = None


def _checked(**columns: Any) -> Case:
    """Return a case that checks a table with other columns."""

    async def check(_: LocalECR) -> None:
        columns_of_table: Any = _COLUMNS | columns
        await TableChecker()(pa.table(columns_of_table))

    return check


def _not_found(_: str) -> None:
    """Find no module."""


def _without_redis() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ecr_layer_client.distributed._redis_limiter.find_spec", _not_found)
        RedisLimiter("redis://localhost", 1)


def _made(make: Callable[[], object]) -> Case:
    """Return a case that makes something, or does something to it."""

    async def call(_: LocalECR) -> None:
        make()

    return call


async def _no_table(_: LocalECR) -> None:
    await TableChecker()(_any)


class _Unequal:
    async def __call__(self) -> AWSKeys:
        return AWSKeys("key", "secret")


async def _many_providers(ecr: LocalECR) -> None:
    checker = TableChecker(
        region_name=ecr.region,
        endpoint_url=ecr.endpoint_url,
        credentials_for=lambda _: _Unequal(),
    )
    names = [f"app-{number}" for number in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ecr_layer_client.distributed._clients._MAX_PROVIDERS", 1)
        try:
            await checker(pa.table({"repository": names, "digest": ["sha256:aa"] * 2}))
        finally:
            await checker.aclose()


TABLES: dict[str, Case] = {
    "AWS keys can't be pickled, …": _made(lambda: pickle.dumps(AWSKeys("key", "secret"))),
    "credentials_for= returned more than … different providers for …": _many_providers,
    "rows=… must be a pyarrow.Table: …": _no_table,
    "the table has a column …, which is the name of an output column: …": _checked(size=[1]),
    "the table has … …, and needs one (its columns: …)": _made(
        lambda: TableChecker(digest="other").schema(pa.table(_COLUMNS).schema)
    ),
    "column … has the type …, and must be a column of strings: …": _checked(digest=[1]),
    "column … has a text that is not valid UTF-8: …": _checked(digest=_NOT_UTF8),
    "…=… must be the name of a column, …": _made(lambda: TableChecker(digest="")),
    "… name the same column …: …": _made(lambda: TableChecker(digest="repository")),
    "credentials= can't be used with credentials_for=: …": _made(
        lambda: TableChecker(credentials=_Unequal(), credentials_for=lambda _: _Unequal())
    ),
    "credentials_for=… must be a function that takes a Repository …": _made(
        lambda: TableChecker(credentials_for=_any)
    ),
    "role_arn=… is not the ARN of a role: …": _made(lambda: AssumedRole("layers")),
    "session_name=… is not valid: …": _made(
        lambda: AssumedRole("arn:aws:iam::123456789012:role/layers", session_name="")
    ),
    "the URL of the Redis server has a password, …": _made(
        lambda: pickle.dumps(RedisLimiter("redis://:secret@localhost", 1))
    ),
    "url must be the URL of a Redis server, …": _made(lambda: RedisLimiter("localhost", 1)),
    "requests_per_second=None must be a number, …": _made(
        lambda: RedisLimiter("redis://localhost", _none)
    ),
    "RedisLimiter needs redis: …": _made(_without_redis),
    "limiter=… must be an object with the async method acquire": _made(
        lambda: ECRLayerClient(limiter=_any)
    ),
}
