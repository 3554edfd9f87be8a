"""Which room may import which: downward, or on one's own floor without a circle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ecr_layer_client

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(ecr_layer_client.__file__).parent
PACKAGE = "ecr_layer_client"

FLOORS = {
    0: [
        "_config",
        "_errors",
        "_models",
        "_observing",
        "_repository",
        "_result",
        "_results",
        "_secrets",
        "_version",
        "_visible",
        "protocols",
    ],
    1: ["_batching", "_budget", "_pacer", "_pairs", "_refusals", "_signing", "_rate_limiter", "_wire"],
    2: ["_botocore_errors", "_caller", "_credentials", "_direct", "_http", "_ordinary", "_provider", "_sessions", "_transport"],
    3: ["_asking", "_connection", "_many", "_stream", "_waiting", "_window", "images"],
    4: ["_client", "_loader", "_progress"],
    5: ["__init__", "arrow", "display", "local", "otel"],
    6: ["cli", "testing"],
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}

# Imports upward, each inside a function, with the reason.
FACES = {
    ("_result", "arrow"): "a result is an Arrow table",
    ("_results", "arrow"): "as are the results of several repositories",
    ("images._plan", "arrow"): "and a plan",
    ("_progress", "display"): "progress=True shows a bar; nobody else pays for it",
    ("_visible", "display"): "results, plans, reports and streams show themselves in notebooks and rich's consoles",
}

PURE = sorted({*FLOORS[0], *FLOORS[1]} - {"_rate_limiter"})  # _rate_limiter lines callers up, so it knows futures
NO_IO = {"aiohttp", "asyncio", "http", "multiprocessing", "os", "queue", "socket", "ssl", "subprocess", "threading", "time"}

SOLE_USERS = {
    "tenacity": {"_caller"},
    "botocore": {
        "_botocore_errors",
        "_credentials",
        "_direct",
        "_ordinary",
        "_provider",
        "_sessions",
        "_transport",
        "cli",  # its doctor says what botocore finds and no client tells: profile, source of credentials, endpoint, proxy
        "local",
    },
    "aiobotocore": {"_credentials", "_http", "_sessions", "_transport", "cli", "local"},
    "aiohttp": {"local"},
    "tqdm": {"display"},
    "pyarrow": {"arrow"},
    "pandas": {"arrow"},
    "opentelemetry": {"otel"},
    "pytest": {"testing"},
    "typer": {"cli"},
    "rich": {"cli", "display"},
    "random": {"_caller", "_pacer", "_waiting", "local"},  # as the default of what is injected
}


def modules() -> dict[str, Path]:
    """Return every module's file by its name below the package; a package's own name is that of its `__init__`."""
    found = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(ROOT.rglob("*.py"))}
    return {name.removesuffix(".__init__"): path for name, path in found.items()}


MODULES = modules()


def room_of(module: str) -> str:
    """Return the room a module is part of."""
    return module.partition(".")[0]


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every node but those under `if TYPE_CHECKING:`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from (inner for other in node.orelse for inner in (other, *runtime_nodes(other)))
        else:
            yield node
            yield from runtime_nodes(node)


def imported(module: str) -> set[str]:
    """Return the full names of all that a module imports at run time, inside functions too."""
    names: set[str] = set()
    for node in runtime_nodes(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = base_of(node, module)
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def base_of(node: ast.ImportFrom, module: str) -> str:
    """Return the full name of what a `from ... import` imports from."""
    if node.level == 0:
        return node.module or ""
    is_package = MODULES[module].name == "__init__.py"
    parts = [PACKAGE, *([] if module == "__init__" else module.split("."))]
    steps = node.level - 1 if is_package else node.level
    above = parts[: len(parts) - steps]
    return ".".join([*above, *(node.module.split(".") if node.module else [])])


def own_module(name: str) -> str | None:
    """Return the module of this package that an imported name is, or comes from; None of another package's."""
    if name.partition(".")[0] != PACKAGE:
        return None
    below = name.removeprefix(PACKAGE).removeprefix(".")
    while below and below not in MODULES:
        below = below.rpartition(".")[0]
    return below or "__init__"


def own_imports(module: str) -> set[str]:
    """Return the modules of this package that a module imports, itself apart."""
    return {own for name in imported(module) if (own := own_module(name)) is not None} - {module}


def foreign_imports(module: str) -> set[str]:
    """Return the top-level packages that a module imports from outside."""
    return {name.partition(".")[0] for name in imported(module)} - {PACKAGE}


def test_every_room_has_a_floor() -> None:
    """Each room of the package is on a floor, and each room on a floor is there."""
    assert sorted(FLOOR_OF) == sorted({room_of(module) for module in MODULES})


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_imported_from_a_floor_above(module: str) -> None:
    """A module imports from its own floor and those beneath, the listed faces apart."""
    room = room_of(module)
    above = {room_of(own) for own in own_imports(module) if FLOOR_OF[room_of(own)] > FLOOR_OF[room]}
    assert above == {face for lower, face in FACES if lower == module}


def test_faces_are_imported_inside_functions() -> None:
    """A face above is imported where it is used, so that importing the room does not import it."""
    at_the_top = {
        (module, face)
        for module, face in FACES
        for node in ast.parse(MODULES[module].read_text()).body
        if isinstance(node, ast.ImportFrom) and own_module(f"{base_of(node, module)}.{node.names[0].name}") == face
    }
    assert at_the_top == set()


def test_no_circle() -> None:
    """No module imports itself by way of others, the listed faces apart."""
    graph = {module: {own for own in own_imports(module) if (module, own) not in FACES} for module in MODULES}
    assert sorted(TopologicalSorter(graph).static_order()) == sorted(MODULES)


@pytest.mark.parametrize("room", PURE)
def test_pure_room(room: str) -> None:
    """A pure room imports nothing that does I/O, waits or reads a clock."""
    assert foreign_imports(room) & NO_IO == set()


@pytest.mark.parametrize("package", SOLE_USERS)
def test_sole_users(package: str) -> None:
    """A package from outside is imported in each room that is listed, and nowhere else."""
    assert {room_of(module) for module in MODULES if package in foreign_imports(module)} == SOLE_USERS[package]


def test_room_names() -> None:
    """No room is a drawer for everything."""
    drawers = ("util", "helper", "manager", "handler", "common", "misc")
    assert [module for module in MODULES if any(drawer in module for drawer in drawers)] == []


def test_this_test_sees_an_import_upward(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An import upward, at the top or inside a function, is seen; one for types alone is not."""
    path = tmp_path / "_errors.py"
    path.write_text(
        "from typing import TYPE_CHECKING\n"
        "import ecr_layer_client._calls.pacer\n"
        "if TYPE_CHECKING:\n    from ._stream import LayerStream\nelse:\n    from . import _wire\n"
        "def f():\n    from ._client import ECRLayerClient\n    from . import LayerStream\n"
    )
    monkeypatch.setitem(MODULES, "_errors", path)
    assert own_imports("_errors") == {"_pacer", "_wire", "_client", "__init__"}
