"""What is found of one matrix: its test, the spikes, the bulk that they leave."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._text import plain
from .edge import count_spikes, edge_units
from .given import Tall, prepared
from .nulls import LEAST, choose_null, gaussian_levels, levels_of, shuffled_levels
from .spikes import Spikes, found_spikes, undetermined
from .statistics import pvalues_of, spacing_ratio

__all__ = ["FOLLOWS", "NO_BULK", "Terms", "Verdict", "verdict_on"]

FOLLOWS = "follows Marchenko–Pastur"
NO_BULK = "no Marchenko–Pastur bulk"
ROUNDS = 4  # of spikes and shuffles of what they leave, in turn


@dataclass(frozen=True, eq=False, repr=False)
class Verdict:
    """What an examination found of one layer.

    Attributes
    ----------
    layer : str
    shape : (rows, columns)
    verdict : str
        "follows Marchenko–Pastur", "k spikes on a clean bulk", "no Marchenko–Pastur bulk" or "not determined (why)".
    pvalue : float
        Of the whole spectrum under the null; nan where nothing is determined, as everything below.
    pvalues : dict
        Of each statistic alone: "largest", "spread", "bulk", "smallest".
    null : str
        "shuffle" or "gaussian"; "" where nothing is determined.
    spikes : Spikes or None
        Looked for where the whole spectrum is rejected; None elsewhere.
    bulk_pvalue : float
        Of the levels that the spikes leave, under the null of their number; `pvalue` where there is no spike.
    smallest, largest : float
        Singular values.
    spacing_ratio, spacing_ratio_pvalue : float
        Universal, 0.53 for random and trained matrices alike: they say nothing about learning.
    singular_values : (levels,) array
        Ascending.
    notes : tuple of str
        What to bear in mind with this layer.
    initial, shuffled : Verdict or None
        The controls: the same layer before training, and with its entries in random order.
    """

    layer: str
    shape: tuple[int, int]
    verdict: str
    pvalue: float
    pvalues: dict[str, float]
    null: str
    spikes: Spikes | None
    bulk_pvalue: float
    smallest: float
    largest: float
    spacing_ratio: float
    spacing_ratio_pvalue: float
    singular_values: np.ndarray
    notes: tuple[str, ...] = ()
    initial: Verdict | None = None
    shuffled: Verdict | None = None

    @property
    def determined(self) -> bool:
        """Whether there is a verdict."""
        return not math.isnan(self.pvalue)

    @property
    def spike_count(self) -> int:
        """Number of spikes; 0 where none were looked for."""
        return (self.spikes.count or 0) if self.spikes is not None else 0

    def rejected(self, level: float) -> bool:
        """Whether the whole spectrum is rejected at a level; never where nothing is determined."""
        return self.pvalue <= level

    def __repr__(self) -> str:
        return f"<Verdict on {self.layer!r}: {self.verdict}, p = {self.pvalue:.3g}>"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; None for what is not finite."""
        own = {name: value for name, value in vars(self).items() if name not in ("spikes", "initial", "shuffled")}
        for name in ("spikes", "initial", "shuffled"):
            part = getattr(self, name)
            own[name] = None if part is None else part.to_dict()
        return plain(own)

    def plot(self, ax: Any = None) -> Any:
        """Draw the spectrum, the law and edge of its bulk, the spikes, and the shuffled control; returns the axes."""
        from .draw import draw_verdict

        return draw_verdict(ax, self, clean=self.verdict != NO_BULK)


@dataclass(frozen=True)
class Terms:
    """How matrices are tested."""

    null: str
    draws: int
    level: float
    seed: int
    tick: Callable[[int], object] = field(default=lambda count: None)
    expect: Callable[[int], object] = field(default=lambda count: None)

    def seeds(self, layer: str, role: str, w: np.ndarray) -> np.random.SeedSequence:
        """Seeds that depend on seed, layer, purpose and entries, and on nothing else.

        The entries are there so that no two matrices meet the same draws, whatever they are called; the layer, so that
        the result does not depend on which others are examined, or in which order.
        """
        digest = hashlib.blake2b(f"{role}\0{layer}\0{w.shape}".encode(), digest_size=16)
        digest.update(np.ascontiguousarray(w).data)
        return np.random.SeedSequence([self.seed, *np.frombuffer(digest.digest(), np.uint32)])


def shuffled_entries(w: np.ndarray, seeds: np.random.SeedSequence) -> np.ndarray:
    """Return the matrix with its entries in random order."""
    return np.random.default_rng(seeds).permutation(w.ravel()).reshape(w.shape)


def verdict_on(layer: str, w: np.ndarray, test: Terms, role: str = "trained") -> Verdict:
    """Test one matrix of finite numbers; without its controls."""
    rows, columns = w.shape
    reason = undetermined(w)
    given = prepared(w)
    x = levels_of(given.tall)
    s = np.sqrt(x)
    if x[0] < 1e-10 * x[-1]:  # the Gram matrix has lost the smallest ones
        s = np.linalg.svd(given.tall, compute_uv=False)[::-1]
    ends = {"smallest": float(s[0]), "largest": float(s[-1]), "singular_values": s}
    if reason:
        nan = math.nan
        return Verdict(
            layer, (rows, columns), f"not determined ({reason})", nan, {}, "", None, nan,
            spacing_ratio=nan, spacing_ratio_pvalue=nan, **ends,
        )  # fmt: skip
    m, n = given.tall.shape
    null = choose_null(test.null, m, n, test.draws)
    levels = _null_levels(given.tall, (m, n), null, test, test.seeds(layer, role, w))
    p, alone = pvalues_of(x, levels, n / m)
    notes = _notes(w, x, given)
    found, bulk_p = None, p
    if p <= test.level:
        found, bulk_p = _spikes_and_bulk(layer, w, given, x, levels, null, test, role)
        k = found.count or 0
        if not k:
            bulk_p = p
        clean = k > 0 and bulk_p > test.level
        text = f"{k} spike{'s' if k > 1 else ''} on a clean bulk" if clean else NO_BULK
        if math.isnan(bulk_p):
            notes.append(f"{k} levels stand out, and what they leave is {_left(x, k)}")
    else:
        text = FOLLOWS
        outside = len(count_spikes(x, m, test.level)[0])
        if outside and null == "shuffle" and alone["largest"] > test.level:
            notes.append(
                f"levels above the edge: {outside}, as in its shuffles: the law of its entries (heavy tails, a mean), "
                "not their arrangement, departs from Marchenko–Pastur"
            )
    ratio, ratios = spacing_ratio(x[None])[0], spacing_ratio(levels)
    low, high = (1 + np.sum(ratios <= ratio)) / (1 + len(ratios)), (1 + np.sum(ratios >= ratio)) / (1 + len(ratios))
    return Verdict(
        layer, (rows, columns), text, p, alone, null, found, bulk_p, spacing_ratio=float(ratio),
        spacing_ratio_pvalue=float(min(1.0, 2 * min(low, high))), notes=tuple(notes), **ends,
    )  # fmt: skip


def _null_levels(
    tall: np.ndarray, shape: tuple[int, int], null: str, test: Terms, seeds: np.random.SeedSequence
) -> np.ndarray:
    test.expect(test.draws)
    if null == "shuffle":
        return shuffled_levels(tall, shape, test.draws, seeds, test.tick)
    return gaussian_levels(*shape, test.draws, seeds, test.tick)


def _spikes_and_bulk(
    layer: str, w: np.ndarray, given: Tall, x: np.ndarray, levels: np.ndarray, null: str, test: Terms, role: str
) -> tuple[Spikes, float]:
    """Count spikes, and test the bulk that they leave, with draws of its own.

    Under the null "shuffle" a spike must stand out of Gaussian and of shuffled matrices. The shuffles of the whole
    matrix come first; where they, and not the Gaussian law, end the count, those of what the spikes leave come next:
    strong spikes with few large entries give all shuffles heavy tails. The bulk is held against (m - k) x (n - k)
    matrices filled with shuffled entries of what is left.
    """
    m, n = given.tall.shape
    found: list[float] = []
    following: float | None = None
    vectors = None
    for turn in range(ROUNDS):
        gate = _gate(levels, m - len(found), n - len(found)) if null == "shuffle" else None
        more, following = count_spikes(x, m, test.level, gate=gate, first=len(found))
        if turn and not more:  # the levels are those of what is left
            break
        found += more
        k = len(found)
        if k == 0 or n - k < LEAST or following is None:
            levels = np.empty((0, 0))
            break
        rest = given.tall
        if null == "shuffle":
            vectors = np.linalg.eigh(given.tall.T @ given.tall)[1] if vectors is None else vectors
            top = vectors[:, n - k :]
            rest = given.tall - (given.tall @ top) @ top.T
        levels = _null_levels(rest, (m - k, n - k), null, test, test.seeds(layer, f"{role}, {k} spikes", w))
        if null == "gaussian" or turn == ROUNDS - 1:
            break
    k = len(found)
    bulk_p = pvalues_of(x[: n - k], levels, (n - k) / (m - k))[0] if levels.size else math.nan
    return found_spikes(given, x, found, following, test.level, None), bulk_p


def _gate(levels: np.ndarray, m: int, n: int) -> Callable[[float, int, int], float]:
    """p-value of a largest level by shuffled m x n matrices, and those of about that size, in the units of the edge."""
    center, unit = edge_units(m, n)
    null = np.sort((m * levels[:, -1] / levels.mean(axis=1) - center) / unit)

    def pvalue(over_mean: float, rows: int, columns: int) -> float:
        middle, width = edge_units(rows, columns)
        z = (rows * over_mean - middle) / width
        return float(1 + null.size - np.searchsorted(null, z - 1e-9 * abs(z))) / (1 + null.size)

    return pvalue


def _left(x: np.ndarray, k: int) -> str:
    return f"fewer than {LEAST} levels" if len(x) - k <= LEAST else "nothing but rounding"


def _notes(w: np.ndarray, x: np.ndarray, given: Tall) -> list[str]:
    """Say what a matrix shows without any test."""
    notes = []
    size = max(given.tall.shape)
    zeros = int(np.count_nonzero(x <= size * np.finfo(np.float64).eps * x[-1]))
    for axis, what in ((1, "row"), (0, "column")):
        empty = int(np.count_nonzero(~w.any(axis=axis)))
        if empty:
            notes.append(f"{empty} {what}{'s' * (empty > 1)} of zeros")
    if zeros:
        notes.append(f"rank {len(x) - zeros} of {len(x)}")
    mean, spread = float(given.tall.mean()), float(given.tall.std())
    if spread and abs(mean) > 5 * spread / math.sqrt(w.size):
        values = f"{mean:.3g}, their deviation {spread:.3g}"
        notes.append(f"the mean of its entries is {values}: a spike along (1, ..., 1)")
    return notes
