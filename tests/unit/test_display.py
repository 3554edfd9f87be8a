"""The progress bar: what moves it, and what is said where tqdm is missing."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import pytest

from ecr_layer_client import Progress
from ecr_layer_client.display import progress_bar

if TYPE_CHECKING:
    from types import TracebackType


class Bar:
    """A bar as far as it is used, that notes each move."""

    made: Bar | None = None

    def __init__(self, **options: Any) -> None:
        Bar.made = self
        self.options = options
        self.total: int | None = None
        self.n = 0
        self.moves: list[tuple[int | None, int]] = []
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /) -> None:
        self.closed = True

    def update(self, by: int) -> None:
        """Move."""
        self.n += by
        self.moves.append((self.total, self.n))


@pytest.fixture
def tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the noting bar in tqdm's place."""
    module: Any = ModuleType("tqdm.auto")
    module.tqdm = Bar
    monkeypatch.setitem(sys.modules, "tqdm", ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)


@pytest.mark.usefixtures("tqdm")
def test_bar_follows_what_is_answered() -> None:
    """The bar stands at what was answered, of a total as soon as there is one, and is closed at the end."""
    with progress_bar() as show:
        assert show is not None
        show(Progress(pulled=200, answered=100, total=None))
        show(Progress(pulled=250, answered=100, total=250))
        show(Progress(pulled=250, answered=250, total=250))
    bar = Bar.made
    assert bar is not None
    assert (bar.moves, bar.closed, bar.options) == (
        [(None, 100), (250, 100), (250, 250)],
        True,
        {"unit": " digests", "unit_scale": True},
    )


@pytest.mark.usefixtures("tqdm")
def test_bar_is_closed_by_an_error() -> None:
    """An error passes through and leaves no open bar."""
    with pytest.raises(LookupError), progress_bar():
        raise LookupError
    assert Bar.made is not None
    assert Bar.made.closed


def test_real_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """The bar that tqdm draws says how many digests were answered, on stderr."""
    with progress_bar() as show:
        assert show is not None
        show(Progress(pulled=250, answered=250, total=250))
    captured = capsys.readouterr()
    assert (captured.out, "250/250" in captured.err) == ("", True)


def test_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tqdm is missing, a warning says how to get the bar, and the operation goes on without one."""
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.warns(UserWarning, match=r"^progress=True shows a bar where tqdm is installed: pip install tqdm$"), progress_bar() as show:
        assert show is None
