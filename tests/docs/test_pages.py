"""What the pages say of the code is what the code says of itself."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

import ecr_layer_client
import ecr_layer_client.images
import ecr_layer_client.local
from ecr_layer_client import ClientConfig, ECRLayerError, Layer, LayerAvailability, Repository, RetryPolicy, _errors
from ecr_layer_client.cli._app import app
from ecr_layer_client.cli._rows import JSONLines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Block

_TREE = re.compile(r"```[^\n]*\n(ECRLayerError .*?)```", re.DOTALL)
_ROW = re.compile(r"^\| `(?P<option>\w+)` \| `(?P<default>[^`]+)` \|", re.MULTILINE)
_MEMBER = re.compile(r"^::: (\S+)$", re.MULTILINE)


def _page(root: Path, name: str) -> str:
    return (root / "docs" / name).read_text(encoding="utf-8")


def _tree(text: str) -> str:
    found = _TREE.search(text)
    return found[1] if found else ""


def test_the_page_shows_the_tree_of_errors_as_the_docstring_does(root: Path) -> None:
    """The tree of errors stands in the page as in the module's docstring, to the letter."""
    assert _tree(_page(root, "errors.md")) == _tree(_errors.__doc__ or "")


def test_the_tree_names_every_error() -> None:
    """The tree names the public errors, all of them and no other."""
    named = set(re.findall(r"\b[A-Z]\w+Error\b", _tree(_errors.__doc__ or ""))) - {"ValueError", "RuntimeError", "TimeoutError"}
    assert named == {name for name in ecr_layer_client.__all__ if _is_error(getattr(ecr_layer_client, name))}


def test_the_page_says_what_to_do_for_each_error(root: Path) -> None:
    """Each error below ECRLayerError that may be raised has a row that says what to do."""
    rows = re.findall(r"^\| `(\w+Error)` \|", _page(root, "errors.md"), re.MULTILINE)
    errors = {name for name in ecr_layer_client.__all__ if _is_error(getattr(ecr_layer_client, name))}
    assert sorted(rows) == sorted(errors - {"ECRLayerError", "CallError"})


@pytest.mark.parametrize("options", [ClientConfig, RetryPolicy], ids=lambda options: options.__name__)
def test_the_page_says_each_default(options: type[ClientConfig | RetryPolicy], root: Path) -> None:
    """Each option stands in the page with the default that the code gives it, in the code's order."""
    section = _page(root, "configuration.md").partition(f"## {options.__name__}\n")[2].partition("\n## ")[0]
    assert _ROW.findall(section) == [(name, _shown(field.default)) for name, field in options.model_fields.items()]


def _shown(default: object) -> str:
    return "RetryPolicy()" if default == RetryPolicy() else repr(default)


@pytest.mark.parametrize(
    ("package", "page"),
    [(ecr_layer_client, "client"), (ecr_layer_client.images, "images"), (ecr_layer_client.local, "local")],
    ids=["ecr_layer_client", "images", "local"],
)
def test_the_reference_has_every_public_name(package: Any, page: str, root: Path) -> None:
    """The reference has an entry for every public name of the package, and for no other."""
    entries = _MEMBER.findall(_page(root, f"reference/{page}.md"))
    assert sorted(entries) == sorted(f"{package.__name__}.{name}" for name in package.__all__ if name != "__version__")


def test_the_policy_allows_the_one_action(root: Path, blocks: Callable[..., list[Block]]) -> None:
    """The least-privilege policy is JSON that allows the one action, and on a repository alone."""
    (policy,) = [json.loads(block.text) for block in blocks(_page(root, "security.md")) if block.title == 'title="policy"']
    allowed = [(entry["Effect"], entry["Action"], entry["Resource"]) for entry in policy["Statement"]]
    assert allowed == [("Allow", "ecr:BatchCheckLayerAvailability", "arn:aws:ecr:eu-west-1:123456789012:repository/team/app")]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_a_page_names_targets_that_make_has(page: str, root: Path) -> None:
    """Each `make` command of a page is a target of the Makefile."""
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (root / page).read_text(encoding="utf-8"), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize(
    ("name", "section"),
    [("check", "Check digests"), ("doctor", "Find out what is wrong"), ("serve", "Serve a local ECR")],
    ids=["check", "doctor", "serve"],
)
def test_the_page_names_the_options_that_a_command_has(name: str, section: str, root: Path) -> None:
    """The command line's page has a row for each option of a command, in its order, and for no other."""
    command: Any = get_command(app)
    options = ["/".join(parameter.opts + parameter.secondary_opts) for parameter in command.commands[name].params]
    shown = _page(root, "command-line.md").partition(f"## {section}\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(--[a-z/-]+)` \|", shown, re.MULTILINE) == [option for option in options if option.startswith("--")]


def test_the_page_shows_a_json_line_as_it_is_printed(root: Path, blocks: Callable[..., list[Block]]) -> None:
    """The JSON line in the command line's page is what `--json` prints of a layer that is absent."""
    (line,) = [block.text for block in blocks(_page(root, "command-line.md")) if block.title == 'title="JSON line"']
    absent = Layer(digest="sha256:00", availability=LayerAvailability.UNAVAILABLE)
    assert line == JSONLines(Repository(name="team/app")).line(absent) + "\n"


def test_the_readme_opens_with_the_two_commands(root: Path, blocks: Callable[..., list[Block]]) -> None:
    """The first block of README is `make demo` and `make test`, and nothing else."""
    first = blocks((root / "README.md").read_text(encoding="utf-8"))[0]
    assert [line.partition("#")[0].strip() for line in first.text.splitlines()] == ["make demo", "make test"]


def test_the_changelog_is_of_this_version(root: Path) -> None:
    """The newest version that the changelog speaks of is the code's."""
    versions = re.findall(r"^## \[(.+?)\]", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == ecr_layer_client.__version__


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, ECRLayerError)
