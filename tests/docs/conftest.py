"""Fixtures for the tests of the documentation.

They read the fenced blocks of a page, and run them against a local ECR that replaces AWS.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import os
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import ecr_layer_client
from ecr_layer_client import ECRLayerClient
from ecr_layer_client.local import LocalECR
from images.making import IMAGE as OCI_IMAGE
from images.making import entry, image, layout_files, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
# "team/app" holds the first image, and the folder `layout` on disk the second one.
IMAGE, NEXT = image("app", "base", "code"), image("next", "base", "new code")
# "team/app" holds the even ones.
DIGESTS = [f"sha256:{number:064x}" for number in range(250)]

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)(?P<title>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A fenced block: its language, its title, its text, and the line where the text begins."""

    language: str
    title: str
    text: str
    line: int


def _blocks(page: str, first_line: int = 1) -> list[Block]:
    return [
        Block(
            fence["language"],
            fence["title"].strip(),
            textwrap.dedent(fence["text"]),
            first_line + page.count("\n", 0, fence.start()) + 1,
        )
        for fence in _FENCE.finditer(page)
    ]


class Examples:
    """A runner of a page's blocks, one after the other in one namespace, as a reader runs them.

    - A `python` block may await at its top level. The runner calls the functions named `test_...`
      that the block defines.
    - A `text` block titled "prints" must equal the output of the block above it.
    - A `pycon` block is a doctest.

    Each block finds the names in `given`, even if a block above has assigned them.
    """

    def __init__(
        self, runner: asyncio.Runner, names: dict[str, Any], given: dict[str, Any]
    ) -> None:
        self.names: dict[str, Any] = {"__name__": "examples"} | names
        self._given = given
        self._runner = runner
        self._printed = ""

    def run(self, blocks: list[Block], filename: str) -> None:
        """Run the blocks of Python and compare the blocks of output.

        An exception of a block is not caught.
        """
        for block in blocks:
            if block.language == "python":
                self._printed = self._run(block, filename)
            elif block.language == "pycon":
                parser = doctest.DocTestParser()
                self.doctest(parser.get_doctest(block.text, {}, filename, filename, block.line - 1))
            elif block.title == 'title="prints"':
                assert self._printed == block.text

    def doctest(self, test: doctest.DocTest) -> None:
        """Run one doctest."""
        self.names |= self._given
        test.globs = self.names

        report = io.StringIO()
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        outcome = runner.run(test, out=report.write, clear_globs=False)
        assert outcome.failed == 0, report.getvalue()

    def _run(self, block: Block, filename: str) -> str:
        self.names |= self._given
        before = set(self.names)

        # The empty lines let a traceback name the line of the page.
        source = "\n" * (block.line - 1) + block.text
        code = compile(
            source, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )

        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self._finish(eval(code, self.names))  # noqa: S307 (the project's own documentation)
            for name in sorted(set(self.names) - before):
                if name.startswith("test_"):
                    self._test(self.names[name])

        return printed.getvalue()

    def _test(self, test: Callable[..., object]) -> None:
        # These replace the fixtures of the same names.
        fixtures: dict[str, Any] = {
            "local_ecr": LocalECR,
            "monkeypatch": pytest.MonkeyPatch.context,
        }
        needed = inspect.signature(test).parameters

        with contextlib.ExitStack() as stack:
            self._finish(test(**{name: stack.enter_context(fixtures[name]()) for name in needed}))

    def _finish(self, value: object) -> None:
        if inspect.iscoroutine(value):
            self._runner.run(value)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def blocks() -> Callable[..., list[Block]]:
    """Return a function that reads the fenced blocks of a page.

    For a docstring, the function also takes the line of the file where the docstring begins.
    """
    return _blocks


@pytest.fixture
def aws() -> Iterator[LocalECR]:
    """Give a local ECR in another thread, so that code that blocks its own thread can use it.

    Such code is boto3, and `asyncio.run`. Each page has one of its own, because pages push images.
    """
    with LocalECR(region="eu-west-1", regions=["us-east-1"], public_alias="team") as ecr:
        there = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app"
        ecr.create_repository(there)
        ecr.seed("team/app", [(digest, 1_000) for digest in DIGESTS[::2]])
        ecr.seed("public.ecr.aws/team/app", [(digest, 1_000) for digest in DIGESTS[::2]])
        for blob in IMAGE.blobs:
            ecr.put_layer("team/app", blob)
        ecr.put_image("team/app", IMAGE.manifest, "latest")
        yield ecr


@pytest.fixture
def user(aws: LocalECR, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give the process the environment of a user whose AWS account is the local ECR.

    The working directory has an OCI layout, `layout`.
    """
    write(
        tmp_path / "layout",
        layout_files([entry(NEXT.manifest, OCI_IMAGE)], [NEXT.manifest, *NEXT.blobs]),
    )
    monkeypatch.chdir(tmp_path)

    settings = {
        **aws.environment,
        "AWS_CONFIG_FILE": f"{tmp_path}/config",
        "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/credentials",
    }
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def examples(user: None) -> Iterator[Examples]:  # noqa: ARG001 (whose examples they are)
    """Give a runner of examples, with the environment of that user.

    The examples find the public names, `digests`, and an open `client`.
    """
    public = {name: getattr(ecr_layer_client, name) for name in ecr_layer_client.__all__}

    with asyncio.Runner() as runner:
        client = ECRLayerClient()
        runner.run(client.open())
        yield Examples(runner, public, {"client": client, "digests": DIGESTS})
        runner.run(client.aclose())
