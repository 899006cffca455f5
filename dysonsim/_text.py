"""Numbers with errors and aligned columns, for everything that prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def with_error(value: float, error: float | None = None) -> str:
    """`value ± error`, the error with two digits and the value to match; six digits without an error."""
    if error is None or not math.isfinite(value):
        return f"{value:.6g}"
    if not math.isfinite(error) or error <= 0:
        return f"{value:.6g} ± {'?' if math.isnan(error) else f'{error:.2g}'}"
    decimals = 1 - math.floor(math.log10(error))
    if 0 <= decimals <= 10 and abs(value) < 1e10:
        return f"{value:.{decimals}f} ± {error:.{decimals}f}"
    return f"{value:.6g} ± {error:.2g}"


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Rows of cells as lines, each column as wide as its widest cell."""
    columns = max(len(row) for row in rows)
    padded = [[*row, *[""] * (columns - len(row))] for row in rows]
    widths = [max(len(row[k]) for row in padded) for k in range(columns)]
    return "\n".join(
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in padded
    )


def plain(value: Any) -> Any:
    """`value` as JSON knows it: lists, dicts and Python numbers, None for what is not finite."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
