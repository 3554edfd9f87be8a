"""The pytest plugin: the fixture `local_ecr`.

It is there once the library is installed, and imports nothing until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .local import LocalECR

__all__ = ["local_ecr"]


@pytest.fixture
def local_ecr() -> Iterator[LocalECR]:
    """Give an empty `LocalECR` that serves in a thread of its own, for the time of one test.

    Its options are the defaults, and no environment variable is set. It serves tests of any
    framework: pytest-asyncio, anyio, unittest (see below) and those that block. For other options
    or a longer life, a fixture of yours is as short:

    ```python
    import pytest
    from ecr_layer_client.local import LocalECR


    @pytest.fixture(scope="session")
    def shared_ecr():
        with LocalECR(region="eu-west-1", quota=1000) as ecr:
            yield ecr
    ```

    A `unittest.TestCase` takes it by `@pytest.mark.usefixtures`, or, without pytest, by
    `self.enterContext(LocalECR())` in `setUp`.
    """
    # Most test runs of an environment that has the library never ask for it.
    from .local import LocalECR  # noqa: PLC0415

    with LocalECR() as ecr:
        yield ecr
