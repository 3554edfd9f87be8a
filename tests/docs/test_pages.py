"""The claims of the pages about the code agree with the code."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
from importlib import import_module
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any

import pytest
import typer
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.config import Config
from typer.main import get_command
from typer.testing import CliRunner

import ecr_layer_client
from ecr_layer_client import (
    ClientConfig,
    ECRLayerError,
    Layer,
    LayerAvailability,
    Repository,
    RetryPolicy,
)
from ecr_layer_client._models import errors
from ecr_layer_client._transport.opening import aio_config
from ecr_layer_client.cli.app import app
from ecr_layer_client.cli.output import JSONLines
from ecr_layer_client.images import ImageSource

from .conftest import DIGESTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from ecr_layer_client import ECRLayerClient
    from ecr_layer_client.local import LocalECR

    from .conftest import Block, Examples

_TREE = re.compile(r"```[^\n]*\n(ECRLayerError .*?)```", re.DOTALL)
_ROW = re.compile(r"^\| `(?P<option>\w+)` \| `(?P<default>[^`]+)` \|", re.MULTILINE)
_MEMBER = re.compile(r"^::: (\S+)$", re.MULTILINE)


def _page(root: Path, name: str) -> str:
    return (root / "docs" / name).read_text(encoding="utf-8")


def _tree(text: str) -> str:
    found = _TREE.search(text)
    return found[1] if found else ""


def test_the_page_shows_the_error_tree_of_the_docstring(root: Path) -> None:
    """The page has the same error tree as the module's docstring."""
    assert _tree(_page(root, "errors.md")) == _tree(errors.__doc__ or "")


def test_the_tree_names_every_error() -> None:
    """The tree names all public errors, and no other."""
    named = set(re.findall(r"\b[A-Z]\w+Error\b", _tree(errors.__doc__ or ""))) - {
        "ValueError",
        "RuntimeError",
        "TimeoutError",
    }
    assert named == {
        name for name in ecr_layer_client.__all__ if _is_error(getattr(ecr_layer_client, name))
    }


def test_the_page_has_advice_for_each_error(root: Path) -> None:
    """Each error that the library raises has a row with advice."""
    rows = re.findall(r"^\| `(\w+Error)` \|", _page(root, "errors.md"), re.MULTILINE)
    errors = {
        name for name in ecr_layer_client.__all__ if _is_error(getattr(ecr_layer_client, name))
    }
    assert sorted(rows) == sorted(errors - {"ECRLayerError", "CallError"})


@pytest.mark.parametrize(
    "options", [ClientConfig, RetryPolicy], ids=lambda options: options.__name__
)
def test_the_page_says_each_default(options: type[ClientConfig | RetryPolicy], root: Path) -> None:
    """The page has each option with its default, in the order of the code."""
    section = (
        _page(root, "configuration.md")
        .partition(f"## {options.__name__}\n")[2]
        .partition("\n## ")[0]
    )
    assert _ROW.findall(section) == [
        (name, _shown(field.default)) for name, field in options.model_fields.items()
    ]


def _shown(default: object) -> str:
    return "RetryPolicy()" if default == RetryPolicy() else repr(default)


def test_the_reference_has_every_public_name_once(root: Path) -> None:
    """The reference has one entry for each name in the `__all__` of a public module."""
    pages = sorted((root / "docs/reference").glob("*.md"))
    entries = [
        _home(entry)
        for page in pages
        for entry in _MEMBER.findall(page.read_text(encoding="utf-8"))
    ]
    offered = {name for module in _public_modules() for name in _offered(module)}

    missing = sorted(offered - set(entries))
    repeated = sorted(name for name in set(entries) if entries.count(name) > 1)
    assert (missing, repeated) == ([], [])


# `cli` is a program. The methods of results use `display`, so that nobody imports it.
_NOT_TO_IMPORT = {"ecr_layer_client.cli", "ecr_layer_client.display"}


def _public_modules() -> list[str]:
    """Return the names of the modules that users import: no part of their name is private."""
    names = [
        "ecr_layer_client",
        *(module.name for module in walk_packages(ecr_layer_client.__path__, "ecr_layer_client.")),
    ]
    return [name for name in names if "._" not in name and name not in _NOT_TO_IMPORT]


def _offered(module: str) -> list[str]:
    names: list[str] = getattr(import_module(module), "__all__", [])
    return [_home(f"{module}.{name}") for name in names if name != "__version__"]


def _home(entry: str) -> str:
    """Return the name of the module and object that define an importable name."""
    module, _, name = entry.rpartition(".")
    value = getattr(import_module(module), name)
    return f"{value.__module__}.{value.__qualname__}" if hasattr(value, "__qualname__") else entry


@pytest.mark.parametrize(
    ("title", "actions"),
    [
        ("policy", "ecr:BatchCheckLayerAvailability"),
        (
            "policy for images",
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:ListImages"],
        ),
    ],
    ids=["layers", "images"],
)
def test_a_policy_allows_only_what_is_needed(
    title: str, actions: str | list[str], root: Path, blocks: Callable[..., list[Block]]
) -> None:
    """A policy on the page is JSON that allows only the needed actions, on one repository."""
    (policy,) = [
        json.loads(block.text)
        for block in blocks(_page(root, "security.md"))
        if block.title == f'title="{title}"'
    ]

    allowed = [
        (entry["Effect"], entry["Action"], entry["Resource"]) for entry in policy["Statement"]
    ]
    assert allowed == [("Allow", actions, "arn:aws:ecr:eu-west-1:123456789012:repository/team/app")]


async def _exhausted(client: ECRLayerClient) -> list[object]:
    return [report async for report in client.audit("team/app")]


_CALLS: dict[str, Callable[[ECRLayerClient], Awaitable[object]]] = {
    "check_layers": lambda client: client.check_layers("team/app", DIGESTS),
    "plan_push": lambda client: client.plan_push("team/app", ImageSource.from_oci_layout("layout")),
    "get_image": lambda client: client.get_image("team/app", "latest"),
    "verify_image": lambda client: client.verify_image("team/app", "latest"),
    "audit": _exhausted,
}


@pytest.mark.parametrize("method", list(_CALLS))
def test_the_page_names_the_actions_that_a_method_needs(
    method: str, root: Path, examples: Examples, aws: LocalECR
) -> None:
    """The page names, for each method, exactly the operations that the method calls."""
    row = next(
        line
        for line in _page(root, "security.md").splitlines()
        if line.startswith("| `") and f"`{method}`" in line
    )

    before = _counted(aws)
    examples._finish(_CALLS[method](examples._given["client"]))
    called = {
        f"ecr:{operation}"
        for operation, count in _counted(aws).items()
        if count > before.get(operation, 0)
    }

    assert set(re.findall(r"ecr:\w+", row)) == called


def _counted(aws: LocalECR) -> dict[str, int]:
    return {
        operation: sum(outcomes.values()) for operation, outcomes in aws.stats.by_operation.items()
    }


def test_the_page_has_each_option_that_differs_from_botocore(root: Path) -> None:
    """The page has each option that the library sets, in order, with botocore's default."""
    rows = re.findall(
        r"^\| `(\w+)` \| (.+?) \| .+? \| .+ \|$", _page(root, "botocore.md"), re.MULTILINE
    )
    assert rows == [(name, _botocore_default(name)) for name in _options_of_ours()]


def _options_of_ours() -> list[str]:
    """Return the options that the library's source passes to `AioConfig`."""
    calls = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(aio_config)))
        if isinstance(node, ast.Call)
    ]
    (made,) = [call for call in calls if ast.unparse(call.func) == "AioConfig"]
    return [str(keyword.arg) for keyword in made.keywords]


def _botocore_default(option: str) -> str:
    # aiobotocore's own options
    if option == "http_session_cls":
        return f"aiobotocore's `{AIOHTTPSession.__name__}`"
    if option == "connector_args":
        return "`None`"
    return f"`{Config.OPTION_DEFAULTS[option]!r}`"


def test_the_page_has_each_option_as_it_is_here(root: Path) -> None:
    """The page has the values that the library gives to its aiobotocore clients."""
    session: Any = AioSession()
    config = aio_config(session, ClientConfig(), [])
    row = re.compile(r"^\| `(\w+)` \| .+? \| `(.+?)` \| .+ \|$", re.MULTILINE)
    here = dict(row.findall(_page(root, "botocore.md")))

    shown = {
        name: ast.literal_eval(value)
        for name, value in here.items()
        if not value.startswith("ecr-layer-client")
    }
    assert shown == {name: getattr(config, name) for name in shown}


_COMMAND = re.compile(r"\becr-layers(?: +[^|&;<>()\n]*)?")


# A line may name the layout in the user's working directory.
@pytest.mark.usefixtures("user")
def test_the_commands_of_the_pages_are_understood(
    root: Path, blocks: Callable[..., list[Block]]
) -> None:
    """`ecr-layers` accepts each of its command lines in the shell blocks of the pages."""
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    shown = [
        block.text
        for page in pages
        for block in blocks(page.read_text(encoding="utf-8"))
        if block.language in {"sh", "bash"}
    ]
    lines = [line for text in shown for line in _COMMAND.findall(text.replace("\\\n", " "))]

    assert [
        line
        for line in lines
        if not _is_understood(shlex.split(line.rstrip('"'), comments=True)[1:])
    ] == []
    assert len(lines) > 5


def _is_understood(words: list[str]) -> bool:
    group: Any = get_command(app)
    # Without arguments, the program prints its help.
    if not words:
        return True
    if words[0].startswith("-"):
        return any(words[0] in option.opts for option in group.params)

    try:
        name, command, rest = group.resolve_command(
            group.make_context("ecr-layers", [*words], resilient_parsing=True), words
        )
        command.make_context(name, rest)
    except typer.TyperException:
        return False
    # --help ends the command.
    except typer.Exit as ended:
        return ended.exit_code == 0
    return True


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_the_links_of_a_page_at_the_root_lead_to_files(page: str, root: Path) -> None:
    """Each relative link of a page for code hosts leads to a file and, if named, to a heading."""
    links = re.findall(r"\]\(([^)\s]+)\)", (root / page).read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not _leads_somewhere(root, link)] == []


def _leads_somewhere(root: Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    file = root / path
    return file.exists() and (not heading or heading in _headings(file.read_text(encoding="utf-8")))


def _headings(text: str) -> set[str]:
    """Return the anchors of a page's headings: lower case, hyphens for spaces, no other signs."""
    return {
        re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


def test_the_home_page_has_the_figures_of_the_demo(root: Path) -> None:
    """The home page and README have the figures that the demo prints."""
    output = CliRunner().invoke(app, ["demo"]).output
    rows = dict(re.findall(r"^│ (.*?) +│ +(\S.*?) │$", output, re.MULTILINE))
    figures = [
        rows[name]
        for name in (
            "images",
            "requests made",
            "  with batches for one image at a time",
            "  with one HEAD per layer of each image",
            "bytes a push would skip",
        )
    ]

    sentences = (
        "For a sample of {} real images, `ecr-layers demo` makes {} requests. A program that "
        "checks one image at a time, in batches of 100 layers, makes {} requests. A program that "
        "sends one request for each layer of each image makes {}. A push of all these images would "
        "skip {}"
    )
    pages = [
        " ".join(_page(root, "index.md").split()),
        " ".join((root / "README.md").read_text(encoding="utf-8").split()),
    ]
    assert [sentences.format(*figures) in page for page in pages] == [True, True]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_a_page_names_targets_that_make_has(page: str, root: Path) -> None:
    """Each `make` command on a page is a target of the Makefile."""
    page_text = (root / page).read_text(encoding="utf-8")
    makefile = (root / "Makefile").read_text(encoding="utf-8")

    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page_text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("check", "Check digests"),
        ("doctor", "Find out what is wrong"),
        ("push", "Push an image"),
        ("pull", "Pull an image"),
        ("copy", "Copy an image"),
        ("serve", "Serve a local ECR"),
    ],
    ids=["check", "doctor", "push", "pull", "copy", "serve"],
)
def test_the_page_names_the_options_that_a_command_has(name: str, section: str, root: Path) -> None:
    """The page of the command line has exactly the options of a command, in order."""
    command: Any = get_command(app)
    options = [
        "/".join(parameter.opts + parameter.secondary_opts)
        for parameter in command.commands[name].params
    ]

    shown = _page(root, "command-line.md").partition(f"## {section}\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(--[a-z/-]+)` \|", shown, re.MULTILINE) == [
        option for option in options if option.startswith("--")
    ]


def test_the_page_shows_a_json_line_as_it_is_printed(
    root: Path, blocks: Callable[..., list[Block]]
) -> None:
    """The page of the command line has the JSON line that `--json` prints for an absent layer."""
    (line,) = [
        block.text
        for block in blocks(_page(root, "command-line.md"))
        if block.title == 'title="JSON line"'
    ]
    absent = Layer(digest="sha256:00", availability=LayerAvailability.UNAVAILABLE)
    assert line == JSONLines(Repository(name="team/app")).line(absent) + "\n"


def test_the_readme_opens_with_the_two_commands(
    root: Path, blocks: Callable[..., list[Block]]
) -> None:
    """The first block of README has only the commands `make demo` and `make test`."""
    first = blocks((root / "README.md").read_text(encoding="utf-8"))[0]
    assert [line.partition("#")[0].strip() for line in first.text.splitlines()] == [
        "make demo",
        "make test",
    ]


def test_the_picture_of_the_architecture_is_the_same_everywhere(
    root: Path, blocks: Callable[..., list[Block]]
) -> None:
    """The page on the design and CONTRIBUTING have the same diagram of the layers."""
    pages = [_page(root, "design.md"), (root / "CONTRIBUTING.md").read_text(encoding="utf-8")]
    design, contributing = [
        [block.text for block in blocks(page) if block.language == "mermaid"] for page in pages
    ]
    assert design[0] == contributing[0]


def test_the_changelog_is_of_this_version(root: Path) -> None:
    """The newest version in the changelog is the version of the code."""
    versions = re.findall(
        r"^## \[(.+?)\]", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert versions[0] == ecr_layer_client.__version__


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, ECRLayerError)
