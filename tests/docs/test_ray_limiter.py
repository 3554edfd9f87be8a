"""The Ray actor on the page about many machines limits a checker in Ray Data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from engine_runs import PYTHON, Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ecr_layer_client.local import LocalECR

    from .conftest import Block

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not PYTHON.exists(), reason="needs the engines: make .venv/.engines"),
]

PROGRAM = """
import pyarrow as pa
from ecr_layer_client.distributed import TableChecker

ray.init(num_cpus=4, include_dashboard=False)
turns = Turns.remote(1000)
digests = [f"sha256:{number:064x}" for number in range(4)]
rows = ray.data.from_arrow(pa.table({"repository": ["team/app"] * 4, "digest": digests}))
checked = rows.map_batches(
    TableChecker,
    fn_constructor_kwargs={"limiter": RayLimiter(turns)},
    batch_format="pyarrow",
    concurrency=1,
)
found = [row["availability"] for row in checked.take_all()]
quotas = ray.get(turns.__ray_call__.remote(lambda self: [*self.next]))
print(*found, *quotas[0], len(quotas))
"""


def test_actor(
    aws: LocalECR, root: Path, blocks: Callable[..., list[Block]], tmp_path: Path
) -> None:
    """The checks of an actor of Ray Data wait for the actor that limits them."""
    page = (root / "docs/many-machines.md").read_text(encoding="utf-8")
    (block,) = [each for each in blocks(page) if each.title == 'title="a Ray actor"']
    program = tmp_path / "program.py"
    program.write_text(block.text + PROGRAM, encoding="utf-8")
    with Run(aws.environment, (str(program),), tmp_path) as run:
        run.finish()
    assert run.log.splitlines()[-1].split() == [
        *(["AVAILABLE", "UNAVAILABLE"] * 2),
        *("BatchCheckLayerAvailability", "None", "eu-west-1", "ecr", "1"),
    ]
