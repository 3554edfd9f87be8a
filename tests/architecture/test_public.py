"""What the package offers: its names, its docstrings, its error tree, and what importing it costs."""

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
import ecr_layer_client.images
import ecr_layer_client.local
from ecr_layer_client import ECRLayerError

if TYPE_CHECKING:
    from collections.abc import Iterator

ERRORS = importlib.import_module(ECRLayerError.__module__)
MODULES = {f"ecr_layer_client.{module}" for module in ecr_layer_client._MODULE_OF.values()}
ROOT = Path(ecr_layer_client.__file__).parent
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
PUBLIC = [ecr_layer_client, ecr_layer_client.images, ecr_layer_client.local]
SOURCES = sorted(ROOT.rglob("*.py"))

Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def module_name(module: object) -> str:
    """Return a test's id."""
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
    """Return the public names that a package's `__init__` imports or assigns, by reading it."""
    names: set[str] = set()
    body = syntax_tree(Path(module.__file__)).body
    lazily = [
        node for block in body if isinstance(block, ast.If) for node in block.body
    ]  # under TYPE_CHECKING
    for node in (*body, *lazily):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names |= {alias.asname or alias.name for alias in node.names}
    return sorted(name for name in names if not name.startswith("_") or name == "__version__")


@pytest.mark.parametrize("module", PUBLIC, ids=module_name)
def test_all_is_sorted(module: Any) -> None:
    """`__all__` is sorted and names nothing twice."""
    assert list(module.__all__) == sorted(set(module.__all__))


@pytest.mark.parametrize("module", PUBLIC, ids=module_name)
def test_all_is_what_is_reexported(module: Any) -> None:
    """`__all__` is exactly what the package re-exports."""
    assert list(module.__all__) == reexported(module)


@pytest.mark.parametrize("module", PUBLIC, ids=module_name)
def test_all_is_importable(module: Any) -> None:
    """Each name of `__all__` is there."""
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_lazy_names() -> None:
    """Each name is imported from the module that the type checkers are told, and named once."""
    tree = syntax_tree(ROOT / "__init__.py")
    told = [
        (alias.name, node.module)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    told.append(("__version__", "_models.version"))
    assert sorted(told) == sorted(ecr_layer_client._MODULE_OF.items())


def test_protocols_by_attribute() -> None:
    """The public room of protocols is there after importing the package alone."""
    assert (
        python("import ecr_layer_client as e; print(e.protocols.Observer is e.Observer)") == "True"
    )


def test_every_error_is_public() -> None:
    """Each error class of the library's can be imported from the package."""
    assert set(errors()) - set(ecr_layer_client.__all__) == set()


def documented(node: ast.AST, within: str) -> Iterator[tuple[str, Documented]]:
    """Yield the public classes, functions and methods below a node, each with its name."""
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
    """Each module, and each public class, function and method in it, begins with a sentence."""
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
    """Say whether it only sets a property, which is documented where it is read."""
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
    """Return each error class with its bases, as the tree in a docstring draws them."""
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
    """The tree in the docstring is the tree of the classes: each name, each base."""
    assert drawn_tree(inspect.getdoc(ERRORS) or "") == errors()


def python(code: str) -> str:
    """Run code in an interpreter of its own and return what it prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT.parent)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


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
    "ecr_layer_client.images",
    "ecr_layer_client.local",
    "ecr_layer_client.cli",
)
ALL_BUT_ITSELF = (
    "pydantic",
    "asyncio",
    "ecr_layer_client._client",
    "ecr_layer_client._models.errors",
)


def test_import_is_light() -> None:
    """Importing the package imports nothing heavy, nor any wing that is not asked for."""
    assert (
        python(
            f"import sys, ecr_layer_client; print([name for name in {HEAVY!r} if name in sys.modules])"
        )
        == "[]"
    )


def test_the_package_alone_imports_nothing() -> None:
    """Importing the package without a name of its imports none of its rooms, so that the pytest plugin costs a test run nothing."""
    code = f"import sys, ecr_layer_client.testing; print([name for name in {ALL_BUT_ITSELF!r} if name in sys.modules])"
    assert (
        python(
            f"import sys, ecr_layer_client; print([name for name in {ALL_BUT_ITSELF!r} if name in sys.modules])"
        )
        == "[]"
    )
    assert python(code.replace(", 'asyncio'", "")) == "[]"


def test_making_a_client_is_light() -> None:
    """Making a client imports nothing heavy either: that is for `open`."""
    code = f"import sys, ecr_layer_client as e; e.ECRLayerClient(); print([name for name in {HEAVY!r} if name in sys.modules])"
    assert python(code) == "[]"


def test_import_says_nothing() -> None:
    """The library's logger is silent until the caller says otherwise."""
    code = "import logging, ecr_layer_client; logging.getLogger('ecr_layer_client').error('x'); print(len(logging.root.handlers))"
    assert python(code) == "0"


def test_typed() -> None:
    """The package tells type checkers that it is typed."""
    assert (ROOT / "py.typed").read_bytes() == b""


def test_version_is_in_one_place() -> None:
    """The version is written once, where the build reads it, and is what the package says."""
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
    """The version is of the form 1.2.3, with a mark of a pre-release at most."""
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+|\.dev\d+)?", ecr_layer_client.__version__)


@pytest.mark.parametrize(
    "name", sorted({name.partition("[")[0] for name in PROJECT["project"]["scripts"].values()})
)
def test_entry_points(name: str) -> None:
    """Each command that is installed is there."""
    module, _, function = name.partition(":")
    assert callable(getattr(importlib.import_module(module), function))
