"""The Dyson index of neighboring levels of one training, where they collide; refused where they do not.

From how rare small gaps are, P(y) ~ y^beta, and not from how they move: that takes records much closer than the
relaxation time, kicks that are independent of each other, as those of momentum are not, and noise that is the same in
all directions, which mini-batches do not have. (Measured at three records a relaxation time: 0.4 to 0.65 from the
motion where the density says 0.9 to 1.0.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..inference.estimates import Estimate
from ..inference.gaps import small_gap_exponent
from .pieces import Path
from .segment import Segment

COLLIDE = 1.3  # gap over the sum of the widths, up to which neighbors collide often (independent ones, beta = 1: 1.05)
APART = 1.5  # above which they do not, and whatever index comes out means nothing
MOST_PAIRS = 128
WINDOW = (5e-5, 0.5)  # gaps whose density is looked at, in mean gaps


@dataclass(frozen=True, eq=False)
class Pair:
    """Two neighboring levels.

    Attributes
    ----------
    levels : (int, int)
        Their indices.
    apart : float
        Mean gap over the sum of the widths.
    beta : Estimate or None
        Dyson index, with `value`, `error`, and `deviation(expected)` in errors; None where it is refused.
    reason : str
        Why there is no index; "" where there is one.
    """

    levels: tuple[int, int]
    apart: float
    beta: Estimate | None = None
    reason: str = ""

    @property
    def collides(self) -> bool:
        """Whether the gap is below 1.3 times the sum of the widths."""
        return self.apart < COLLIDE

    def to_dict(self) -> dict[str, Any]:
        """Levels, apart, beta with its error, and reason."""
        beta = None if self.beta is None else {"value": self.beta.value, "error": self.beta.error}
        return {"levels": self.levels, "apart": self.apart, "beta": beta, "reason": self.reason}


def pairs_of(segment: Segment, path: Path, followed: np.ndarray, reasons: list[str], pieces: int) -> tuple[Pair, ...]:
    """All pairs of neighbors that are followed; of those near enough, at most 128, spread evenly, get an index."""
    widths = np.sqrt(path.variance)
    places = [k for k in range(len(widths) - 1) if followed[k] and followed[k + 1]]
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.diff(path.mean) / (widths[1:] + widths[:-1])
    near = [k for k in places if apart[k] <= APART and not (reasons[k] or reasons[k + 1])]
    chosen = {near[i] for i in np.linspace(0, len(near) - 1, min(len(near), MOST_PAIRS)).astype(int)}
    found = []
    for k in places:
        levels, ratio = (k, k + 1), float(apart[k])
        if not ratio <= APART:
            why = f"the gap is {ratio:.3g} times the sum of the widths (at most {APART:g}): the levels do not collide"
            found.append(Pair(levels, ratio, reason=why))
        elif reasons[k] or reasons[k + 1]:
            found.append(Pair(levels, ratio, reason=reasons[k] or reasons[k + 1]))
        elif k not in chosen:
            found.append(Pair(levels, ratio, reason=f"not looked at: {MOST_PAIRS} pairs, spread evenly, are"))
        else:
            found.append(_index(segment, levels, ratio, pieces))
    return tuple(found)


def pooled(pairs: tuple[Pair, ...]) -> Estimate | None:
    """Mean index of the pairs that collide, each weighted by its error; their correlations are counted."""
    known = [pair.beta for pair in pairs if pair.collides and pair.beta is not None]
    known = [beta for beta in known if np.isfinite(beta.error) and beta.error > 0]
    if not known:
        return None
    weights = np.array([beta.error**-2 for beta in known])
    weights /= weights.sum()
    value = float(weights @ np.array([beta.value for beta in known]))
    return Estimate(value, weights @ np.array([beta.influence for beta in known]))


def _index(segment: Segment, levels: tuple[int, int], apart: float, pieces: int) -> Pair:
    gas, size = segment.levels[:, list(levels)], len(segment.levels) // pieces
    if not size:
        return Pair(levels, apart, reason=f"{len(gas)} records are too few for {pieces} pieces")
    gas = gas / np.diff(gas, axis=1).mean()  # in mean gaps: an index has no unit
    beta = small_gap_exponent(gas[-pieces * size :].reshape(pieces, size, 2), WINDOW, None)
    if beta is None or not np.isfinite(beta.error):
        return Pair(levels, apart, reason=f"there are too few gaps below {WINDOW[1]:g} of their mean")
    return Pair(levels, apart, beta)
