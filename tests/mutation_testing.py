"""Run mutmut and print how many of its mutants the tests kill: `make mutants`.

`mutants.md` lists the mutants that no test can kill. The folder `mutants/` keeps what mutmut found:
a run that was stopped continues there, and later runs test only the mutants of changed functions
and those that survived. Remove the folder to start again.

This module is also a plugin of pytest, which runs the quickest tests of a mutant first.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from bisect import bisect_left
from collections import Counter
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

LISTED = Path(__file__).with_name("mutants.md")
MUTMUT = str(Path(sys.executable).with_name("mutmut"))
FOUND = Path("mutants")
SHARE_TO_KILL = 0.95
# A mutant that never ends times out. One that the kernel kills for its CPU time is a "segfault".
KILLED = {"killed", "timeout", "segfault"}
SURVIVED = {0, 5, 33}  # exit codes of mutmut; the last two mean that there was no test
UNTESTED = {"not checked", "check was interrupted by user"}
ENVIRONMENT = {"HYPOTHESIS_PROFILE": "mutants", "PYTHONPATH": str(Path(__file__).parent)}
SECONDS_PER_MUTANT = 20.0
# Tests of other folders run the code of these packages, too, but check something else.
FOLDERS = {
    "_calls": {"calls", "client", "property"},
    "_checks": {"checks", "client", "display", "property"},
    "_transport": {"checks", "client", "property", "transport"},
    "images": {"display", "images", "integrations"},
}
COLUMNS = ("mutants", "killed", "listed", "survived", "untested")

NAME = re.compile(r"ecr_layer_client\.(.+)\.x(?:_|ǁ(\w+)ǁ)(\w+)__mutmut_\d+")
HEADING = re.compile(r"### `(.+)` `(.+)`")
DIFF = re.compile(r"```diff\n(.+?)```", re.DOTALL)


class Change(NamedTuple):
    """The change that a mutant makes to a function.

    Attributes:
        module: The module, within the package.
        function: The function, or the class and the method.
        lines: The lines that differ, each after its `-` or `+`.
    """

    module: str
    function: str
    lines: tuple[str, ...]


def pytest_configure(config: pytest.Config) -> None:
    """Keep the quickest tests of the package of a mutant, by the time that mutmut measured.

    Of a test that has an id with a backslash, which pytest does not find, all cases are selected:
    mutmut would take the error for a mutant that is killed.
    """
    _, _, mutated = os.environ.get("MUTANT_UNDER_TEST", "").partition(".")
    if mutated:
        config.args = quickest(config.args, FOLDERS[mutated.partition(".")[0]])
    config.args = [arg.partition("[")[0] if "\\" in arg else arg for arg in config.args]


def quickest(tests: list[str], folders: set[str]) -> list[str]:
    """Return the tests in some folders that take no more than `SECONDS_PER_MUTANT` together."""
    seconds = json.loads(Path("mutmut-stats.json").read_text())["duration_by_test"]
    near = [test for test in tests if test.split("/")[1] in folders]
    near.sort(key=lambda test: seconds.get(test, 0.0))
    elapsed = list(accumulate(seconds.get(test, 0.0) for test in near))
    return near[: bisect_left(elapsed, SECONDS_PER_MUTANT)]


def change(mutant: str) -> Change:
    """Return what a mutant changes."""
    match = NAME.fullmatch(mutant)
    assert match is not None
    module, owner, function = match.groups()
    diff = import_module("mutmut.mutation.diff_apply").get_diff_for_mutant(mutant)
    qualified = function if owner is None else f"{owner}.{function}"
    return Change(module, qualified, _changed_lines(diff.partition("@@\n")[2]))


def _changed_lines(diff: str) -> tuple[str, ...]:
    return tuple(line[0] + line[1:].strip() for line in diff.splitlines() if line[:1] in {"-", "+"})


def listed() -> Iterator[Change]:
    """Produce the changes that `mutants.md` lists."""
    _, *sections = re.split(r"^(?=### )", LISTED.read_text(), flags=re.MULTILINE)
    for section in sections:
        heading = HEADING.match(section)
        assert heading is not None
        for diff in DIFF.findall(section):
            yield Change(heading[1], heading[2], _changed_lines(diff))


def verdicts() -> dict[str, str]:
    """Return the verdict of mutmut on each mutant."""
    command = [MUTMUT, "results", "--all", "true"]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(line.strip().rsplit(": ", 1) for line in lines.splitlines())


def forget_survivors(equivalent: set[Change]) -> None:
    """Make mutmut test again what survived and is not listed."""
    for file in FOUND.rglob("*.meta"):
        meta = json.loads(file.read_text())
        codes = meta["exit_code_by_key"]
        for mutant, code in codes.items():
            if code in SURVIVED and change(mutant) not in equivalent:
                codes[mutant] = None
        file.write_text(json.dumps(meta, indent=4))


def report(found: dict[str, str], equivalent: set[Change]) -> bool:
    """Print the survivors and the score, and return whether enough mutants are killed."""
    counts: dict[str, Counter[str]] = {}
    stale = set(equivalent)
    for mutant, verdict in found.items():
        kind = "killed" if verdict in KILLED else "untested" if verdict in UNTESTED else "survived"
        if kind == "survived":
            changed = change(mutant)
            stale.discard(changed)
            if changed in equivalent:
                kind = "listed"
            else:
                print(f"\n{mutant}: {verdict}", *changed.lines, sep="\n")
        module = mutant.removeprefix("ecr_layer_client.").partition(".x")[0]
        counts.setdefault(module, Counter())[kind] += 1

    for each in sorted(stale):
        print(f"\n{LISTED.name} lists what did not survive: {each.module} {each.function}")
        print(*each.lines, sep="\n")
    return print_score(counts) and not stale


def print_score(counts: dict[str, Counter[str]]) -> bool:
    """Print a row for each module and the score, and return whether it is high enough."""
    print(f"\n{'':32}", *(f"{column:>9}" for column in COLUMNS))
    total = sum(counts.values(), Counter[str]())
    for module, count in [*counts.items(), ("all", total)]:
        numbers = {"mutants": count.total(), **count}
        print(f"{module:32}", *(f"{numbers.get(column, 0):9,}" for column in COLUMNS))

    share = total["killed"] / max(total.total() - total["listed"], 1)
    print(
        f"\n{share:.1%} of the mutants that are not listed are killed; {SHARE_TO_KILL:.0%} must be."
    )
    return share >= SHARE_TO_KILL


def main() -> int:
    """Test the mutants that need it, and print the score."""
    equivalent = set(listed())
    forget_survivors(equivalent)
    subprocess.run([MUTMUT, "run", *sys.argv[1:]], env={**os.environ, **ENVIRONMENT}, check=True)
    return 0 if report(verdicts(), equivalent) else 1


if __name__ == "__main__":
    sys.exit(main())
