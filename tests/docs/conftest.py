"""What the tests of the documentation share: fenced blocks, and a way to run them against a local ECR that stands in for AWS."""

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
IMAGE, NEXT = (
    image("app", "base", "code"),
    image("next", "base", "new code"),
)  # "team/app" holds one; the other is laid out on disk
DIGESTS = [f"sha256:{number:064x}" for number in range(250)]  # "team/app" holds the even ones

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)(?P<title>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A fenced block: its language, the title beside it, its text, and the line the text begins at."""

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
    """Runs a page's blocks one after the other, in one namespace, as a reader would.

    A `python` block may await at its top level; functions named `test_...` that it defines are
    called. A `text` block titled "prints" must be what the block above printed. A `pycon` block is
    a doctest. Each block finds the names `given`, whatever the blocks above made of them.
    """

    def __init__(
        self, runner: asyncio.Runner, names: dict[str, Any], given: dict[str, Any]
    ) -> None:
        self.names: dict[str, Any] = {"__name__": "examples"} | names
        self._given = given
        self._runner = runner
        self._printed = ""

    def run(self, blocks: list[Block], filename: str) -> None:
        """Run what is Python of them; raises what they raise."""
        for block in blocks:
            if block.language == "python":
                self._printed = self._run(block, filename)
            elif block.language == "pycon":
                self.doctest(
                    doctest.DocTestParser().get_doctest(
                        block.text, {}, filename, filename, block.line - 1
                    )
                )
            elif block.title == 'title="prints"':
                assert self._printed == block.text

    def doctest(self, test: doctest.DocTest) -> None:
        """Run one doctest."""
        self.names |= self._given
        test.globs = self.names
        report = io.StringIO()
        outcome = doctest.DocTestRunner(
            optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        ).run(test, out=report.write, clear_globs=False)
        assert outcome.failed == 0, report.getvalue()

    def _run(self, block: Block, filename: str) -> str:
        self.names |= self._given
        before = set(self.names)
        source = (
            "\n" * (block.line - 1) + block.text
        )  # so that a traceback names the page's own line
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
        asked = inspect.signature(test).parameters
        with contextlib.ExitStack() as stack:  # as the fixtures of these names
            fixtures: dict[str, Any] = {
                "local_ecr": LocalECR,
                "monkeypatch": pytest.MonkeyPatch.context,
            }
            self._finish(test(**{name: stack.enter_context(fixtures[name]()) for name in asked}))

    def _finish(self, value: object) -> None:
        if inspect.iscoroutine(value):
            self._runner.run(value)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def blocks() -> Callable[..., list[Block]]:
    """Reads the fenced blocks of a page, or of a docstring that begins at a line of its file."""
    return _blocks


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalECR]:
    """A local ECR in a thread of its own, so that what blocks the page's thread (boto3, `asyncio.run`) reaches it, too."""
    with LocalECR(region="eu-west-1") as ecr:
        ecr.seed("team/app", [(digest, 1_000) for digest in DIGESTS[::2]])
        for blob in IMAGE.blobs:
            ecr.put_layer("team/app", blob)
        ecr.put_image("team/app", IMAGE.manifest, "latest")
        yield ecr


@pytest.fixture
def user(aws: LocalECR, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The process is that of a user whose AWS account is the local ECR.

    An OCI layout, `layout`, lies in the working directory.
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
    """Runs examples as that user does.

    They find the public names, `digests`, and an open `client`.
    """
    public = {name: getattr(ecr_layer_client, name) for name in ecr_layer_client.__all__}
    with asyncio.Runner() as runner:
        client = ECRLayerClient()
        runner.run(client.open())
        yield Examples(runner, public, {"client": client, "digests": DIGESTS})
        runner.run(client.aclose())
