"""The public names of `ecr_layer_client.images` have examples."""

from __future__ import annotations

import pytest

from ecr_layer_client import ECRLayerClient, images


@pytest.mark.parametrize("name", images.__all__)
def test_every_name_has_an_example(name: str) -> None:
    """Each public name has an example in its docstring, which the documentation's tests run."""
    assert ">>> " in (getattr(images, name).__doc__ or "")


@pytest.mark.parametrize("verb", ["get_image", "plan_push", "plan_pushes", "verify_image", "audit"])
def test_every_verb_has_an_example(verb: str) -> None:
    """Each image method of the client has an example in its docstring."""
    assert "```python" in (getattr(ECRLayerClient, verb).__doc__ or "")
