"""What a part of the report returns: numbers, figures, tables, and comparisons with their verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dysonsim._text import with_error
from dysonsim.comparison.compare import Comparison, compare
from dysonsim.comparison.curves import CurveComparison
from dysonsim.spectra.curve import Curve

SIGMAS = 3.3  # standard errors beyond which a number deviates: one false alarm in a thousand comparisons
LEVEL = 1e-3  # p-value below which a law is rejected: the same rate of false alarms
FINER = 50  # times as many resamples where the first ones do not resolve the p-value
NEXT_ORDER = 4.0  # leading-order predictions may be off by this times n alpha/|B|

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
AGREES = "agrees"
EXPECTED = "deviates as expected"
DISAGREES = "disagrees"
VERBS = {  # singular, plural
    AGREES: ("agrees", "agree"),
    EXPECTED: ("deviates as expected", "deviate as expected"),
    DISAGREES: ("disagrees", "disagree"),
}

WHY_NEXT_ORDER = (
    "The prediction is the leading order in α/|B|. The other modes and the finite learning rate change it by "
    f"O(n α/|B|); deviations of up to {NEXT_ORDER:g} n α/|B| are allowed. The extrapolation α/|B| → 0 tests the "
    "leading order itself."
)


@dataclass(frozen=True)
class Figure:
    """`name` is that of the file and of the function in `figures` that draws it; `code` repeats its numbers.

    `alt` says what the picture shows to a reader who does not see it.
    """

    name: str
    alt: str
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
    """One comparison. `measured` and `predicted` may be None where `shown` and `expected` say it in words."""

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


def number_row(
    quantity: str, measured: float, error: float, predicted: float, *, allowed: float = 0.0, why: str = ""
) -> Row:
    """Compare a number that has an error with a prediction that may itself be off by `allowed`, for the reason `why`.

    The number agrees within SIGMAS standard errors; it deviates as expected if it is off by no more than `allowed`
    beyond that. A fit to few networks may end at the edge of the parameters, where there is no error: nothing can
    then be said.
    """
    if not 0 < error < math.inf:
        why = "the likelihood is largest at the edge of the parameters, where it gives no error"
        return Row(quantity, measured, None, predicted, None, EXPECTED, why, shown=f"{measured:.3g}, no error")
    deviation = (measured - predicted) / error
    verdict = AGREES
    if not abs(deviation) <= SIGMAS:
        verdict = EXPECTED if abs(measured - predicted) <= allowed + SIGMAS * error else DISAGREES
    return Row(quantity, measured, error, predicted, deviation, verdict, why if verdict != AGREES else "")


def compare_finely(values: np.ndarray, law: Any, resamples: int, fit: str | None = None) -> Comparison:
    """Call `compare`, with FINER times as many resamples where the p-value is as small as these can resolve."""
    result = compare(values, law, fit=fit, resamples=resamples)
    if result.pvalue * (resamples + 1) > 2:
        return result
    return compare(values, law, fit=fit, resamples=FINER * resamples)


def law_row(quantity: str, comparisons: Sequence[Comparison], *, allowed: float = 0.0, why: str = "") -> Row:
    """Judge comparisons with a law that should describe the data by their smallest p-value, Bonferroni-corrected.

    If it is below LEVEL, the largest Kolmogorov-Smirnov distance decides: `allowed` is how far the law may be off.
    """
    worst = min(min(c.pvalue for c in comparisons) * len(comparisons), 1.0)
    distance = max(c.ks.statistic for c in comparisons)
    shown = f"p = {probability(worst)}, D = {distance:.4f}"
    if len(comparisons) > 1:
        n = len(comparisons)
        shown = f"{n} tests: {n} × smallest p = {probability(worst)}, largest D = {distance:.4f}"
    verdict = AGREES if worst >= LEVEL else EXPECTED if distance <= allowed else DISAGREES
    return Row(quantity, worst, None, None, None, verdict, why if verdict != AGREES else "", shown, f"p ≥ {LEVEL:g}")


def compare_curve_finely(curve: Curve, law: Any, resamples: int) -> CurveComparison:
    """Compare a curve with a law as `compare_finely` does values."""
    result = compare(curve, law, resamples=resamples)
    if result.pvalue * (resamples + 1) > 2:
        return result
    return compare(curve, law, resamples=FINER * resamples)


def curve_row(quantity: str, one: CurveComparison, *, allowed: float = 0.0, why: str = "") -> Row:
    """Judge a curve that a law should describe by its joint p-value.

    If it is below LEVEL, the largest relative deviation decides: `allowed` is how far the law may be off.
    """
    shown = f"p = {probability(one.pvalue)}, largest deviation {one.statistic:.1f} σ of {len(one.expected)} points"
    off = float(np.max(np.abs(one.curve.value / one.expected - 1) - SIGMAS * one.error / one.expected))
    verdict = AGREES if one.pvalue >= LEVEL else EXPECTED if off <= allowed else DISAGREES
    return Row(quantity, one.pvalue, None, None, None, verdict, why if verdict != AGREES else "", shown,
               f"p ≥ {LEVEL:g}")  # fmt: skip


def control_row(quantity: str, pvalue: float) -> Row:
    """Judge a negative control: the p-value of a law that must not describe the data."""
    verdict = AGREES if pvalue < LEVEL else DISAGREES
    why = "" if verdict == AGREES else "There are too few data to tell this law from the right one."
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
    """Write a p-value with at most two digits."""
    if p >= 1e-4:
        return f"{p:.2g}"
    if p < 1e-300:
        return "< 10⁻³⁰⁰"
    mantissa, exponent = f"{p:.0e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def span(numbers: Sequence[int]) -> str:
    """Write the range of some numbers: "24", or "192 to 320"."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def redraw(name: str) -> str:
    """Return Python that draws the figure again from results.json."""
    return (
        "import json\nimport dysonsim.reproduce.figures\n"
        "results = json.load(open('results.json', encoding='utf-8'))\n"
        f"dysonsim.reproduce.figures.{name}(results).savefig('{name}.png')\n"
    )


def row_cells(row: dict[str, Any]) -> list[str]:
    """Return what was measured, what was predicted and the deviation of a comparison as text."""
    measured = row["shown"] or with_error(row["measured"], row["error"])
    predicted = row["expected"] or f"{row['predicted']:.5g}"
    deviation = "" if row["deviation"] is None else f"{row['deviation']:+.1f} σ"
    return [measured, predicted, deviation]


def counts(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Count the stored rows with each verdict."""
    return {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERBS}


def counted(rows: Sequence[dict[str, Any]]) -> str:
    """Write the counts of all verdicts: "12 agree, 2 deviate as expected, 0 disagree"."""
    return ", ".join(f"{number} {VERBS[verdict][number != 1]}" for verdict, number in counts(rows).items())


def in_words(rows: Sequence[dict[str, Any]]) -> str:
    """Write the verdict on stored rows as a sentence: "12 of 14 comparisons agree and 2 deviate as expected."."""
    found = {verdict: number for verdict, number in counts(rows).items() if number}
    if not found:
        return "Nothing was compared."
    if len(found) == 1:
        subject = {1: "The one comparison", 2: "Both comparisons"}.get(len(rows), f"All {len(rows)} comparisons")
        return f"{subject} {VERBS[next(iter(found))][len(rows) != 1]}."
    said = [f"{number} {VERBS[verdict][number != 1]}" for verdict, number in found.items()]
    said[0] = said[0].replace(" ", f" of {len(rows)} comparisons ", 1)
    return f"{', '.join(said[:-1])} and {said[-1]}."
