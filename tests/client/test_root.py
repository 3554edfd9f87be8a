"""The root of the package: it imports a name when the name is first used."""

from __future__ import annotations

import pytest

import ecr_layer_client


def test_all_names_are_listed() -> None:
    """`dir` lists every public name once, imported or not."""
    _ = ecr_layer_client.ECRLayerClient
    listed = dir(ecr_layer_client)
    assert {name: listed.count(name) for name in ecr_layer_client.__all__} == dict.fromkeys(
        ecr_layer_client.__all__, 1
    )


def test_protocols() -> None:
    """The public module `protocols` is an attribute of the package."""
    namespace = vars(ecr_layer_client)
    assert namespace["__getattr__"]("protocols").Observer is ecr_layer_client.Observer


def test_a_name_that_is_not_there() -> None:
    """A name that the package does not have raises AttributeError, as in any module."""
    with pytest.raises(AttributeError, match="module 'ecr_layer_client' has no attribute 'Client'"):
        _ = ecr_layer_client.Client  # type: ignore[attr-defined]
