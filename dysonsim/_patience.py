"""A word on stderr about what takes seconds without a sign of life, once in a process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import Timer

__all__ = ["PATIENCE", "quiet", "told_if_slow"]

PATIENCE = 3.0  # seconds, until the word as until a progress bar
QUIET: ContextVar[bool] = ContextVar("QUIET", default=False)
SAID: set[str] = set()


@contextmanager
def quiet(wanted: bool) -> Iterator[None]:
    """No word meanwhile, if that is wanted."""
    before = QUIET.set(wanted or QUIET.get())
    try:
        yield
    finally:
        QUIET.reset(before)


@contextmanager
def told_if_slow(text: str) -> Iterator[None]:
    """Print `text` on stderr, unless this has been said or ends within 3 seconds."""
    if QUIET.get() or text in SAID:
        yield
        return
    timer = Timer(PATIENCE, _say, [text])
    timer.daemon = True
    with suppress(RuntimeError):  # the interpreter is ending, and starts no threads
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _say(text: str) -> None:
    SAID.add(text)
    if sys.stderr is None:  # print would take stdout
        return
    with suppress(OSError, ValueError, AttributeError):  # it is closed, full or of an odd kind
        print(f"dysonsim: {text}", file=sys.stderr, flush=True)
