"""`ecr-layers`: the command line, of the extra `[cli]`.

It imports typer and rich, and nothing else of this library does.
"""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["main"]

_OF_THE_EXTRA = ("rich", "typer")


def main() -> NoReturn:
    """Run `ecr-layers` and exit: 0 as wished, 1 not all available, 2 an error, 130 interrupted.

    Raises:
        SystemExit: Always.
    """
    try:
        import rich  # noqa: F401 (typer goes without it)

        from .app import app
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _OF_THE_EXTRA:
            raise
        sys.stderr.write(
            f"error: ecr-layers needs {missing}: pip install 'ecr-layer-client[cli]'\n"
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        code = app(prog_name="ecr-layers")
    except OSError as error:  # of help and version; commands end by themselves
        from .exit_codes import ERROR, forget_output, say, words

        forget_output()
        say(f"error: can't write to standard output: {words(error)}")
        code = ERROR
    sys.exit(code)
