"""What a part of the report hands back: numbers, figures, tables, and rows of the summary with their verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dysonsim._text import with_error
from dysonsim.comparison.compare import Comparison, compare

SIGMAS = 3.3  # deviations beyond this are called so: false alarms one row in a thousand
LEVEL = 1e-3  # of p-values: the same rate
FINER = 50
NEXT_ORDER = 4.0  # leading-order predictions may be off by this times n alpha/|B|

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
AGREES = "agrees"
EXPECTED = "deviates as expected at this order"
DISAGREES = "disagrees"

WHY_NEXT_ORDER = (
    "The prediction is the leading order in α/|B|; the other modes and the finite step change it by O(n "
    f"α/|B|), here allowed for up to {NEXT_ORDER:g} n α/|B|. The extrapolation α/|B| → 0 tests the leading "
    "order itself."
)


@dataclass(frozen=True)
class Figure:
    """`name` is the file's, and the function's in `figures` that draws it; `code` repeats its numbers."""

    name: str
    caption: str
    code: str


@dataclass(frozen=True)
class Table:
    """Text cells; `caption` says what they are."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Row:
    """One line of the summary. `measured` and `predicted` may be None where `shown` and `expected` say it in words."""

    quantity: str
    measured: float | None
    error: float | None
    predicted: float | None
    deviation: float | None
    verdict: str
    why: str = ""
    shown: str = ""
    expected: str = ""


@dataclass
class Part:
    """Result of one part."""

    data: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def against(
    quantity: str, measured: float, error: float, predicted: float, *, allowed: float = 0.0, why: str = ""
) -> Row:
    """A number with an error against a prediction, which itself may be off by `allowed` for the reason `why`.

    Agrees within SIGMAS standard errors; deviates as expected if off by no more than `allowed` beyond that. A fit of
    few networks may end at the edge of the parameters, where there is no error: nothing can then be said.
    """
    if not 0 < error < math.inf:
        why = "the likelihood is largest at the edge of the parameters, where it gives no error"
        return Row(quantity, measured, None, predicted, None, EXPECTED, why, shown=f"{measured:.3g}, no error")
    deviation = (measured - predicted) / error
    verdict = AGREES
    if not abs(deviation) <= SIGMAS:
        verdict = EXPECTED if abs(measured - predicted) <= allowed + SIGMAS * error else DISAGREES
    return Row(quantity, measured, error, predicted, deviation, verdict, why if verdict != AGREES else "")


def hold(values: np.ndarray, law: Any, resamples: int, fit: str | None = None) -> Comparison:
    """`compare`, with FINER times as many draws where the p-value is as small as the draws resolve."""
    result = compare(values, law, fit=fit, resamples=resamples)
    if result.pvalue * (resamples + 1) > 2:
        return result
    return compare(values, law, fit=fit, resamples=FINER * resamples)


def law_holds(
    quantity: str, comparisons: Sequence[Comparison], *, allowed: float = 0.0, why: str = ""
) -> Row:
    """Comparisons with a law that should hold: the smallest p-value, corrected for their number (Bonferroni).

    If it is below LEVEL, the largest Kolmogorov-Smirnov distance decides: `allowed` is how far the law may be off.
    """
    worst = min(min(c.pvalue for c in comparisons) * len(comparisons), 1.0)
    distance = max(c.ks.statistic for c in comparisons)
    shown = f"p = {probability(worst)}, D = {distance:.4f}"
    if len(comparisons) > 1:
        n = len(comparisons)
        shown = f"{n} tests: {n} × smallest p = {probability(worst)}, largest D = {distance:.4f}"
    verdict = AGREES if worst >= LEVEL else EXPECTED if distance <= allowed else DISAGREES
    return Row(
        quantity, worst, None, None, None, verdict, why if verdict != AGREES else "", shown, f"p ≥ {LEVEL:g}"
    )


def rejected(quantity: str, pvalue: float) -> Row:
    """A control: a law that must not describe the data."""
    verdict = AGREES if pvalue < LEVEL else DISAGREES
    why = "" if verdict == AGREES else "Too few data to tell this law from the right one."
    return Row(
        quantity,
        pvalue,
        None,
        None,
        None,
        verdict,
        why,
        f"p = {probability(pvalue)}",
        f"rejected, p < {LEVEL:g}",
    )


def probability(p: float) -> str:
    """A p-value with two digits."""
    if p >= 1e-4:
        return f"{p:.2g}"
    if p < 1e-300:
        return "< 10⁻³⁰⁰"
    mantissa, exponent = f"{p:.0e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def redraw(name: str) -> str:
    """Python that draws the figure again from results.json."""
    return (
        "import json\nimport dysonsim.reproduce.figures\n"
        "results = json.load(open('results.json'))\n"
        f"dysonsim.reproduce.figures.{name}(results).savefig('{name}.png')\n"
    )


def row_cells(row: dict[str, Any]) -> list[str]:
    """Measured, predicted and deviation of a row as text."""
    measured = row["shown"] or with_error(row["measured"], row["error"])
    predicted = row["expected"] or f"{row['predicted']:.5g}"
    deviation = "" if row["deviation"] is None else f"{row['deviation']:+.1f} σ"
    return [measured, predicted, deviation]
