"""The pytest plugin: the fixture `local_ecr`.

pytest loads the plugin wherever the library is installed. The plugin imports nothing else of the
library until a test uses the fixture.
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
    """Provide an empty `LocalECR`, served in its own thread, for one test.

    The local ECR has the default options, and no environment variable is set. The fixture works
    with tests of any framework: pytest-asyncio, anyio, unittest (see below) and blocking tests. For
    other options or a longer life, write your own fixture:

    ```python
    import pytest
    from ecr_layer_client.local import LocalECR


    @pytest.fixture(scope="session")
    def shared_ecr():
        with LocalECR(region="eu-west-1", quota=1000) as ecr:
            yield ecr
    ```

    In a `unittest.TestCase`, use `@pytest.mark.usefixtures`, or, without pytest, call
    `self.enterContext(LocalECR())` in `setUp`.
    """
    # Most test runs never use the fixture, and must not pay for this import.
    from .local import LocalECR  # noqa: PLC0415

    with LocalECR() as ecr:
        yield ecr
