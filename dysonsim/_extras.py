"""Libraries that only some of the functions need: the extras of pyproject.toml."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["needs"]


def needs(module: str, extra: str, what: str) -> Any:
    """Import a library of an extra; ImportError that says what needs it and how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ImportError(f'{what} needs {name}: pip install "dysonsim[{extra}]" ({error})') from error
