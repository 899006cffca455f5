"""Libraries that only some of the functions need: the extras of pyproject.toml."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["needs"]

LEAST = {"torch": (2, 6)}  # before it, files loaded with weights_only=True could be made to execute code


def needs(module: str, extra: str, what: str) -> Any:
    """Import a library of an extra; ImportError that says what needs it and how to get it."""
    name = module.partition(".")[0]
    get = f'pip install "dysonsim[{extra}]"'
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{what} needs {name}: {get} ({error})") from error
    version, least = str(getattr(found, "__version__", "")), LEAST.get(name)
    numbers = tuple(int(n) for n in version.partition("+")[0].split(".")[:2] if n.isdigit())
    if least and numbers and numbers < least:
        raise ImportError(f"{what} needs {name} {'.'.join(map(str, least))} or later, not {version}: {get}")
    return found
