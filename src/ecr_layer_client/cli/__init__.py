"""The command line `ecr-layers`, of the extra `[cli]`.

Only this subpackage imports typer.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

__all__ = ["main"]

_EXTRA_PACKAGES = ("platformdirs", "rich", "typer")


def main() -> NoReturn:
    """Run `ecr-layers` and exit with its code, as `exit_codes.py` lists them.

    Raises:
        SystemExit: Always.
    """
    try:
        # typer itself does not need rich, but the commands do.
        import rich  # noqa: F401  # pyright: ignore[reportUnusedImport]

        from .app import app
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA_PACKAGES:
            raise
        sys.stderr.write(
            f"error: ecr-layers needs {missing}: pip install 'ecr-layer-client[cli]'\n"
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)

    if not os.environ.get("ECR_LAYERS_TRACEBACK"):
        _hide_what_libraries_report()
    try:
        code = app(prog_name="ecr-layers")
    except OSError as error:
        # --help and --version get here. Commands handle their own errors.
        from .exit_codes import ERROR, discard_output, print_line, system_message

        discard_output()
        print_line(f"error: can't write to standard output: {system_message(error)}")
        code = ERROR
    sys.exit(code)


def _hide_what_libraries_report() -> None:
    """Print no log record, warning or exception of a finalizer on standard error.

    By default, Python prints those of botocore and asyncio, tracebacks included. What matters of
    them is in the one line that a command prints.
    """
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(capture=True)
    sys.unraisablehook = lambda _: None
