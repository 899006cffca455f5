"""Errors of an update, at the line of the user's file that they come from."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np

PACKAGES = (f"{Path(__file__).parents[2]}{os.sep}", f"{Path(np.__file__).parent}{os.sep}")


def user_line() -> str:
    """Name the innermost line that is neither dysonsim's nor NumPy's, as "file, line 12, in update"."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGES):
            return f"{code.co_filename}, line {frame.f_lineno}, in {code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return "update"


def fail(kind: type[Exception], message: str) -> NoReturn:
    """Raise an error that begins with the line of the user's file."""
    raise kind(f"{user_line()}: {message}") from None
