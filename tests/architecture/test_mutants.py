"""The mutants that `tests/mutants.md` lists are changes of code that exists."""

from __future__ import annotations

from pathlib import Path

import ecr_layer_client
from mutation_testing import listed

SOURCE = Path(ecr_layer_client.__file__).parent


def test_listed_mutants_change_existing_lines() -> None:
    """Each line that a listed mutant removes is in its module."""
    missing: list[tuple[str, str]] = []
    for module, _, lines in listed():
        source = (SOURCE / module.replace(".", "/")).with_suffix(".py").read_text()
        present = {line.strip() for line in source.splitlines()}
        removed = [line[1:] for line in lines if line[0] == "-"]
        missing += [(module, line) for line in removed if line not in present]
    assert missing == []
