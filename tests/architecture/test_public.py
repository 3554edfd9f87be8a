"""The public package: its names, its docstrings, its error tree and the cost of importing it."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ecr_layer_client
import ecr_layer_client.distributed
import ecr_layer_client.images
import ecr_layer_client.local
from ecr_layer_client import ECRLayerError

if TYPE_CHECKING:
    from collections.abc import Iterator

ERRORS = importlib.import_module(ECRLayerError.__module__)
MODULES = {f"ecr_layer_client.{module}" for module in ecr_layer_client._MODULE_OF.values()}
ROOT = Path(ecr_layer_client.__file__).parent
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
PUBLIC = [
    ecr_layer_client,
    ecr_layer_client.distributed,
    ecr_layer_client.images,
    ecr_layer_client.local,
]
SOURCES = sorted(ROOT.rglob("*.py"))

Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def module_name(module: object) -> str:
    """Return the id of a module's test."""
    return getattr(module, "__name__", str(module))


@cache
def source(path: Path) -> str:
    """Return a source file's text, read once."""
    return path.read_text(encoding="utf-8")


@cache
def syntax_tree(path: Path) -> ast.Module:
    """Return a source file's syntax tree, parsed once."""
    return ast.parse(source(path))


def reexported(module: Any) -> list[str]:
    """Return the public names that the source of a package's `__init__` imports."""
    body = syntax_tree(Path(module.__file__)).body
    under_type_checking = [
        node for block in body if isinstance(block, ast.If) for node in block.body
    ]

    names: set[str] = set()
    for node in (*body, *under_type_checking):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names |= {alias.asname or alias.name for alias in node.names}
    return sorted(name for name in names if not name.startswith("_") or name == "__version__")


@pytest.mark.parametrize("module", PUBLIC, ids=module_name)
def test_all_is_sorted(module: Any) -> None:
    """`__all__` is sorted and has no duplicates."""
    assert list(module.__all__) == sorted(set(module.__all__))


@pytest.mark.parametrize("module", PUBLIC, ids=module_name)
def test_all_names_what_is_reexported(module: Any) -> None:
    """`__all__` has exactly the names that the package re-exports."""
    assert list(module.__all__) == reexported(module)


@pytest.mark.parametrize("module", PUBLIC, ids=module_name)
def test_all_is_importable(module: Any) -> None:
    """Each name of `__all__` can be imported."""
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_lazy_names() -> None:
    """The package imports each name once, from the module that type checkers read."""
    for_type_checkers = [
        (alias.name, node.module)
        for block in syntax_tree(ROOT / "__init__.py").body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    for_type_checkers.append(("__version__", "_models.version"))

    assert sorted(for_type_checkers) == sorted(ecr_layer_client._MODULE_OF.items())


def test_protocols_by_attribute() -> None:
    """`import ecr_layer_client` alone gives access to the public module `protocols`."""
    code = "import ecr_layer_client as e; print(e.protocols.Observer is e.Observer)"
    assert python(code) == "True"


def test_every_error_is_public() -> None:
    """Each error class of the library can be imported from the package."""
    assert set(errors()) - set(ecr_layer_client.__all__) == set()


def documented(node: ast.AST, within: str) -> Iterator[tuple[str, Documented]]:
    """Yield the public classes, functions and methods inside a node, each with its name."""
    for child in ast.iter_child_nodes(node):
        if (
            isinstance(child, Documented)
            and not child.name.startswith("_")
            and not is_setter(child)
        ):
            yield f"{within}.{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from documented(child, f"{within}.{child.name}")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings(path: Path) -> None:
    """Each module and each public class, function and method has a docstring with a sentence."""
    tree = syntax_tree(path)
    everything: list[tuple[str, Documented | ast.Module]] = [
        (path.stem, tree),
        *documented(tree, path.stem),
    ]

    assert [
        name
        for name, node in everything
        if not re.search(r"[.:](\s|$)", ast.get_docstring(node) or "")
    ] == []


def is_setter(node: Documented) -> bool:
    """Return whether a function is a property's setter: the getter has the docstring."""
    return any(
        isinstance(decorator, ast.Attribute) and decorator.attr == "setter"
        for decorator in node.decorator_list
    )


def errors() -> dict[str, tuple[str, ...]]:
    """Return each error class with its bases."""
    classes = [ECRLayerError]
    for cls in classes:
        classes += [each for each in cls.__subclasses__() if each.__module__ in MODULES]
    return {cls.__name__: tuple(base.__name__ for base in cls.__bases__) for cls in classes}


def drawn_tree(text: str) -> dict[str, tuple[str, ...]]:
    """Return each error class with its bases, read from the tree that a docstring draws."""
    bases: dict[str, tuple[str, ...]] = {}
    above: list[str] = []

    for line in text.split("```")[1].strip().splitlines():
        branch = re.match(
            r"(?P<indent>[│├└─ ]*)(?P<names>\w+Error( / \w+Error)*)( \((?P<builtin>\w+)\))?", line
        )
        if branch is None:
            continue
        depth = len(branch["indent"]) // 4
        for name in branch["names"].split(" / "):
            bases[name] = (
                above[depth - 1] if depth else "Exception",
                *([branch["builtin"]] if branch["builtin"] else []),
            )
            above[depth:] = [name]

    return bases


def test_error_tree() -> None:
    """The tree in the docstring has the names and the bases of the error classes."""
    assert drawn_tree(inspect.getdoc(ERRORS) or "") == errors()


def python(code: str) -> str:
    """Run code in a new interpreter and return its output."""
    environment = os.environ | {"PYTHONPATH": str(ROOT.parent)}
    finished = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    return finished.stdout.strip()


def imported_by(statements: str, names: tuple[str, ...]) -> str:
    """Return those of some modules that a new interpreter has imported after the statements."""
    return python(
        f"import sys\n{statements}\nprint([name for name in {names!r} if name in sys.modules])"
    )


HEAVY = (
    "aiobotocore",
    "aiohttp",
    "boto3",
    "botocore",
    "opentelemetry",
    "pandas",
    "pyarrow",
    "rich",
    "tqdm",
    "typer",
    "ecr_layer_client.distributed",
    "ecr_layer_client.images",
    "ecr_layer_client.local",
    "ecr_layer_client.cli",
)
ON_FIRST_USE = ("pydantic", "ecr_layer_client._client", "ecr_layer_client._models.errors")


def test_import_is_light() -> None:
    """Importing the package imports no heavy library and no other subpackage."""
    assert imported_by("import ecr_layer_client", HEAVY) == "[]"


def test_importing_the_package_imports_no_module_of_it() -> None:
    """`import ecr_layer_client` imports no module of the core, nor pydantic, nor asyncio."""
    assert imported_by("import ecr_layer_client", (*ON_FIRST_USE, "asyncio")) == "[]"


def test_the_plugin_imports_no_module_of_the_core() -> None:
    """The pytest plugin imports no module of the core, so that it costs a test run nothing."""
    assert imported_by("import ecr_layer_client.testing", ON_FIRST_USE) == "[]"


def test_making_a_client_is_light() -> None:
    """Making a client imports no heavy library: `open` does."""
    statements = "import ecr_layer_client\necr_layer_client.ECRLayerClient()"
    assert imported_by(statements, HEAVY) == "[]"


def test_the_logger_is_silent() -> None:
    """The library's logger prints nothing until the caller configures logging."""
    code = (
        "import logging, ecr_layer_client\n"
        "logging.getLogger('ecr_layer_client').error('x')\n"
        "print(len(logging.root.handlers))"
    )
    assert python(code) == "0"


def test_typed() -> None:
    """The package has the marker of typed packages, py.typed, which is empty."""
    assert (ROOT / "py.typed").read_bytes() == b""


def test_version_is_in_one_place() -> None:
    """The version is in one source file, and the build reads it from there."""
    version = ecr_layer_client.__version__
    holders = [
        f"src/{path.relative_to(ROOT.parent).as_posix()}"
        for path in SOURCES
        if f'"{version}"' in source(path)
    ]

    assert (holders, PROJECT["project"]["dynamic"], PROJECT["project"].get("version")) == (
        [PROJECT["tool"]["hatch"]["version"]["path"]],
        ["version"],
        None,
    )


def test_version_is_a_version() -> None:
    """The version has the form 1.2.3, with or without the mark of a pre-release."""
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+|\.dev\d+)?", ecr_layer_client.__version__)


@pytest.mark.parametrize(
    "name", sorted({name.partition("[")[0] for name in PROJECT["project"]["scripts"].values()})
)
def test_entry_points(name: str) -> None:
    """Each installed command names a function that exists."""
    module, _, function = name.partition(":")
    assert callable(getattr(importlib.import_module(module), function))
