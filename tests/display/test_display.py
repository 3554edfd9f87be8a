"""The progress bar: its updates, its end, and the warning without tqdm."""

from __future__ import annotations

import asyncio
import sys
import warnings
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import pytest
from tqdm import TqdmWarning

from ecr_layer_client import InvalidInputError, Progress
from ecr_layer_client._checks.progress import shown
from ecr_layer_client.display._bar import progress_bar

if TYPE_CHECKING:
    from types import TracebackType


class Bar:
    """A bar that notes each update, with only the members that are used.

    Like a notebook's bar, it takes a total only through `reset`.
    """

    made: Bar | None = None

    def __init__(self, **options: Any) -> None:
        Bar.made = self
        self.options = options
        self.disable = False
        self.total: int | None = None
        self.start_t = 1.0
        self.n = 0
        self.leave = True
        self.moves: list[tuple[int | None, int]] = []
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.closed = True

    def update(self, by: int) -> None:
        """Move the bar."""
        self.n += by
        self.moves.append((self.total, self.n))

    def reset(self, total: int) -> None:
        """Start again with a total."""
        self.total, self.n, self.start_t = total, 0, 2.0


@pytest.fixture
def tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace tqdm by the bar that notes its updates."""
    module: Any = ModuleType("tqdm.auto")
    module.tqdm = Bar
    monkeypatch.setitem(sys.modules, "tqdm", ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)


def made() -> Bar:
    """Return the bar that was made."""
    assert Bar.made is not None
    return Bar.made


@pytest.mark.usefixtures("tqdm")
def test_bar_follows_what_is_answered() -> None:
    """The bar shows the number of answered digests, and the total once it is known.

    It is closed at the end.
    """
    with progress_bar() as show:
        assert show is not None
        show(Progress(pulled=200, answered=100, total=None))
        show(Progress(pulled=250, answered=100, total=250))
        show(Progress(pulled=250, answered=250, total=250))
    bar = made()

    assert (bar.moves, bar.closed, bar.options) == (
        [(None, 100), (250, 100), (250, 250)],
        True,
        {"unit": " digests"},
    )


@pytest.mark.usefixtures("tqdm")
@pytest.mark.parametrize(("in_bytes", "unit"), [(False, " digests"), (True, "B")])
def test_the_unit_of_a_bar(*, in_bytes: bool, unit: str) -> None:
    """The bar of a check counts digests, and that of a transfer bytes."""
    with shown(progress=True, in_bytes=in_bytes):
        assert made().options["unit"] == unit


@pytest.mark.parametrize(("in_bytes", "kind"), [(False, "Progress"), (True, "TransferProgress")])
def test_progress_is_not_a_function(*, in_bytes: bool, kind: str) -> None:
    """The message says which values `progress=` takes."""
    given: Any = 5
    with pytest.raises(InvalidInputError) as caught:
        shown(given, in_bytes=in_bytes)
    rule = f"must be True, False, or a function (not async) that takes a {kind}"
    assert str(caught.value) == f"progress=5 {rule}"


@pytest.mark.usefixtures("tqdm")
def test_a_late_total_leaves_the_clock() -> None:
    """The time on the bar counts from its start, even if the total comes later."""
    with progress_bar() as show:
        assert show is not None
        show(Progress(pulled=250, answered=100, total=250))
    assert made().start_t == 1.0


@pytest.mark.parametrize(
    "error",
    [LookupError, asyncio.CancelledError, KeyboardInterrupt],
    ids=lambda error: error.__name__,
)
@pytest.mark.parametrize(
    ("total", "is_left"), [(None, False), (250, True)], ids=["no total", "a total"]
)
@pytest.mark.usefixtures("tqdm")
def test_bar_is_closed_by_an_error(
    error: type[BaseException],
    total: int | None,
    is_left: bool,
) -> None:
    """An error or a cancellation passes through and leaves no open bar.

    A bar without a total disappears, because it would look finished.
    """
    with pytest.raises(error), progress_bar() as show:
        assert show is not None
        show(Progress(pulled=250, answered=100, total=total))
        raise error
    assert (made().closed, made().leave) == (True, is_left)


def test_real_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """The bar of tqdm shows the number of answered digests on stderr, in whole numbers."""
    with progress_bar() as show:
        assert show is not None
        show(Progress(pulled=2, answered=2, total=2))
    captured = capsys.readouterr()
    assert (captured.out, " 2/2 " in captured.err) == ("", True)


def test_real_bar_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The bar of tqdm stays where it was when the operation failed."""
    with pytest.raises(LookupError), progress_bar() as show:
        assert show is not None
        show(Progress(pulled=250, answered=100, total=250))
        raise LookupError
    assert "100/250" in capsys.readouterr().err.splitlines()[-1].rpartition("\r")[2]


def test_disabled_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar that tqdm's own switch disables shows nothing, and the operation continues."""
    from tqdm.auto import tqdm

    monkeypatch.setattr("tqdm.auto.tqdm", partial(tqdm, disable=True))
    with progress_bar() as show:
        assert show is not None
        show(Progress(pulled=250, answered=100, total=250))
    assert capsys.readouterr() == ("", "")


def test_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tqdm, a warning says how to get the bar.

    The operation continues without a bar.
    """
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)

    with (
        pytest.warns(
            UserWarning,
            match=r"^progress=True shows a bar only if tqdm is installed: pip install tqdm$",
        ),
        progress_bar() as show,
    ):
        assert show is None


def test_a_warning_of_tqdm_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning of tqdm about missing notebook widgets does not reach the user.

    The user gets a text bar.
    """

    class Warner(ModuleType):
        def __getattr__(self, name: str) -> Any:
            warnings.warn(
                "IProgress not found. Please update jupyter and ipywidgets.",
                TqdmWarning,
                stacklevel=2,
            )
            return Bar

    monkeypatch.setitem(sys.modules, "tqdm.auto", Warner("tqdm.auto"))
    with progress_bar() as show:
        assert show is not None
