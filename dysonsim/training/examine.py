"""`examine`: whether the spectrum of a trained matrix differs from that of a random one, and how."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _checks
from .._patience import PATIENCE
from .._text import aligned, plain
from .given import matrices, matrix_of
from .statistics import UNIVERSAL_RATIO
from .verdict import Terms, Verdict, shuffled_entries, verdict_on

__all__ = ["Examination", "examine"]

NULLS = ("auto", "shuffle", "gaussian")
MOST_DRAWS = 10**6


@dataclass(frozen=True, eq=False, repr=False)
class Examination:
    """Result of `examine`: a verdict on every layer, beside its controls.

    ``examination["fc1"]`` is the row of a layer, a `Verdict`: verdict, pvalue, spikes, bulk_pvalue, initial, shuffled.

    Attributes
    ----------
    rows : tuple of Verdict
        One a layer.
    level : float
        p-values at most this reject.
    draws, seed : int

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> random = np.random.default_rng(1)
    >>> noise, step = random.normal(size=(96, 48)), np.outer(random.normal(size=96), random.normal(size=48))
    >>> result = ds.examine({"start": noise, "trained": noise + step, "bias": noise[:4]}, draws=199)
    >>> for row in result.rows:
    ...     print(row.layer, row.verdict)
    start follows Marchenko–Pastur
    trained 1 spike on a clean bulk
    bias not determined (fewer than 8 levels)
    """

    rows: tuple[Verdict, ...]
    level: float
    draws: int
    seed: int

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers."""
        return tuple(row.layer for row in self.rows)

    def __getitem__(self, layer: str) -> Verdict:
        for row in self.rows:
            if row.layer == layer:
                return row
        raise KeyError(f"layer = {layer!r}: must be one of {', '.join(map(repr, self.layers))}")

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return f"<Examination of {len(self.rows)} layers: {self._counted(self.rows)} at level {self.level:g}>"

    def __str__(self) -> str:
        return "\n".join([aligned(self.table(), indent=""), *(f"  {line}" for line in self.summary())])

    def table(self) -> list[list[str]]:
        """Return the header and a row a layer, as text."""
        started = any(row.initial is not None for row in self.rows)
        header = ["layer", "shape", "verdict", "p", "bulk p", *(["initial p"] if started else []), "shuffled p"]
        lines = [[*header, "smallest s", "edge", "largest s", "spacing ratio"]]
        for row in self.rows:
            edge = row.spikes.edge if row.spikes is not None else _edge(row)
            initial = [self._control(row.initial)] if started else []
            lines.append(
                [
                    row.layer, "{} x {}".format(*row.shape), row.verdict, _p(row.pvalue), _p(row.bulk_pvalue),
                    *initial, self._control(row.shuffled), f"{row.smallest:.3g}", f"{edge:.3g}", f"{row.largest:.3g}",
                    "" if math.isnan(row.spacing_ratio) else f"{row.spacing_ratio:.2f}",
                ]
            )  # fmt: skip
        return lines

    def _control(self, control: Verdict | None) -> str:
        if control is None:
            return ""
        return _p(control.pvalue) + (" !" if control.rejected(self.level) else "")

    def _counted(self, rows: Any) -> str:
        tested = [row for row in rows if row is not None and row.determined]
        return f"{sum(row.rejected(self.level) for row in tested)} of {len(tested)} rejected"

    def summary(self) -> list[str]:
        """Return what the table says as a whole, in sentences."""
        tested = [row for row in self.rows if row.determined]
        if not tested:
            return [f"No layer has enough levels: nothing is determined at level {self.level:g}."]
        rejected = sum(row.rejected(self.level) for row in tested)
        chance = len(tested) * self.level
        nulls = {row.null for row in tested}
        how = {"shuffle": "entries shuffled", "gaussian": "Gaussian entries"}
        named = " or ".join(how[null] for null in ("shuffle", "gaussian") if null in nulls)
        lines = [
            f"p: whole spectrum against {self.draws} random matrices a layer ({named}); bulk p: without spikes.",
            f"{rejected} of {len(tested)} layers rejected at {self.level:g}; {chance:.2g} would be if all were random"
            + (
                f", {rejected} or more with probability {_binomial(rejected, len(tested), self.level):.2g}."
                * (rejected > 0)
                or "."
            ),
        ]
        controls = [f"shuffled {self._counted(row.shuffled for row in self.rows)}"]
        if any(row.initial is not None for row in self.rows):
            controls.insert(0, f"initial {self._counted(row.initial for row in self.rows)}")
        lines.append(f"Controls (! where rejected): {'; '.join(controls)}.")
        lines.append(
            f"The spacing ratio is universal, {UNIVERSAL_RATIO:.2f} for random and trained matrices alike: it says "
            "nothing about learning."
        )
        lines += [f"{row.layer}: {note}." for row in self.rows for note in row.notes]
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; None for what is not finite."""
        rows = [row.to_dict() for row in self.rows]
        return plain(
            {"level": self.level, "draws": self.draws, "seed": self.seed, "rows": rows, "summary": self.summary()}
        )

    def plot(self, ax: Any = None, layer: str | None = None) -> Any:
        """Draw one layer's spectrum, or without `layer` the p-values of all, with those of the controls."""
        from .draw import draw_examination

        return self[layer].plot(ax) if layer is not None else draw_examination(ax, self)


def examine(
    weights: Any,
    *,
    initial: Any = None,
    null: str = "auto",
    draws: int = 999,
    level: float = 0.01,
    seed: int = 0,
) -> Examination:
    """Test whether the spectrum of each weight matrix is that of a random one, and say in which way it is not.

    Parameters
    ----------
    weights : mapping of matrices, matrix, torch module or path
        Whatever `read_weights` reads; the layers are read one at a time. A matrix alone is called "matrix".
    initial : as weights, optional
        The same layers before training, as a control: what they show already, training has not brought about.
    null : "auto", "shuffle" or "gaussian"
        What "random" means. "shuffle": the matrix's own entries in random order, for independent entries of any law.
        "gaussian": independent Gaussian entries, much faster for large matrices; uniform entries make it a little
        conservative, heavy tails are rejected. "auto" shuffles where that takes a minute of one core or less, by an
        estimate from shape and draws alone (with 999 draws up to about 750 x 750, 2600 x 512 or 15000 x 128; 2048 x
        2048 would take a quarter of an hour, Gaussian 50 s), and each row says which it was.
    draws : int
        Random matrices for each test. A p-value is a multiple of 1/(draws + 1), which must not exceed `level`.
    level : float
        p-values at most this reject: of random matrices a share `level`.
    seed : int, >= 0
        Numbers depend on it, on a layer's name and on its entries, not on the order of layers, nor on which others are
        examined, nor on threads.

    Returns
    -------
    Examination
        In words, for each layer: "follows Marchenko–Pastur" (not rejected), "k spikes on a clean bulk" (rejected; k
        levels stand out, the rest is not rejected), "no Marchenko–Pastur bulk" (the rest is rejected too), or "not
        determined", with the reason (fewer than 8 levels; all entries equal).

    Raises
    ------
    TypeError, ValueError
        For an argument that is not allowed; if `initial` lacks a layer or has another shape there.
    DivergenceError
        If a matrix holds nan or inf; `layer` says which. Before anything is tested.

    Notes
    -----
    The test is exact at any size (`dysonsim.training.statistics`), with random matrices of its own for every matrix. It
    combines the largest level, which weighs most, the mean square of the levels, the distance from the Marchenko-Pastur
    law and the smallest level; all of levels over their mean, so that the scale of the weights does not matter. Spikes
    (`spikes`) are looked for where the whole spectrum is rejected; under "shuffle" they have to stand out of shuffled
    matrices, too. Many layers mean many tests: of n random ones level n are rejected on average, which the summary sets
    beside the number that were.

    Not rejected does not mean random: a change that is spread evenly, or far below the threshold of a spike, is not
    seen. Rejected does not mean that the network has learned something useful: look at `initial`, and at the shuffled
    control, which with null="gaussian" tells the law of the entries from their arrangement.

    Cost with 999 draws, on one core: 128 x 512 under "shuffle" 1.4 s, 2048 x 2048 under "gaussian" 50 s; as much again
    for each control and for the bulk after spikes. A progress bar shows in a terminal after 3 seconds.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> random = np.random.default_rng(0)
    >>> start = random.uniform(-1, 1, size=(64, 32))
    >>> trained = start + 2 * np.outer(random.normal(size=64), random.normal(size=32))
    >>> result = ds.examine({"fc1": trained}, initial={"fc1": start}, draws=199)
    >>> row = result["fc1"]
    >>> row.verdict, row.initial.verdict, row.shuffled.verdict
    ('1 spike on a clean bulk', 'follows Marchenko–Pastur', 'follows Marchenko–Pastur')
    """
    _checks.choice("null", null, NULLS)
    draws = _checks.integer("draws", draws, 1, MOST_DRAWS)
    level = _checks.real("level", level, above=0, below=1)
    seed = _checks.integer("seed", seed, 0)
    if (draws + 1) * level < 1 - 1e-12:
        enough = f"{math.ceil(1 / level) - 1} or more" if level > 1 / MOST_DRAWS else "a larger level"
        raise ValueError(
            f"draws = {draws}: no p-value is below 1/{draws + 1}, which must not exceed level = {level:g}; "
            f"take {enough}"
        )
    given = matrices("weights", weights)
    start = None if initial is None else matrices("initial", initial)
    _check(given, start)
    with _progress() as bar:
        test = Terms(null, draws, level, seed, bar.done, bar.expect)
        rows = []
        for layer in given:
            bar.say(layer)
            rows.append(_row(layer, given, start, test))
    return Examination(tuple(rows), level, draws, seed)


def _row(layer: str, given: Mapping[str, Any], start: Mapping[str, Any] | None, test: Terms) -> Verdict:
    """Examine one layer and its controls."""
    w = matrix_of("weights", given, layer)
    row = verdict_on(layer, w, test)
    before = None if start is None else verdict_on(layer, matrix_of("initial", start, layer), test, "initial")
    if not row.determined:
        return replace(row, initial=before)
    control = verdict_on(layer, shuffled_entries(w, test.seeds(layer, "shuffled", w)), test, "control")
    notes = row.notes
    if row.null == "gaussian" and row.rejected(test.level) and control.rejected(test.level):
        notes += ("rejected with its entries shuffled, too: the law of the entries may be all that is not random",)
    if before is not None and row.rejected(test.level) and before.rejected(test.level):
        notes += ("rejected before training, too",)
    return replace(row, initial=before, shuffled=control, notes=notes)


def _check(given: Mapping[str, Any], start: Mapping[str, Any] | None) -> None:
    """Look at all layers once before an hour is spent on the first: numbers that are none, and what `initial` lacks."""
    if not len(given):
        raise ValueError("weights holds no matrix")
    for layer in given:
        shape = matrix_of("weights", given, layer).shape
        if start is None:
            continue
        if layer not in start:
            raise ValueError(f"initial has no layer {layer!r}; it has {', '.join(map(repr, start)) or 'none'}")
        other = matrix_of("initial", start, layer).shape
        if other != shape:
            raise ValueError(f"initial: layer {layer!r} has shape {other}, that of weights has {shape}")


class _progress:
    """A bar in a terminal once 3 seconds have passed; it learns on the way how much there is to do."""

    def __enter__(self) -> _progress:
        from tqdm import tqdm

        self.bar: Any = tqdm(total=0, unit="draw", disable=None, delay=PATIENCE, leave=False)
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def say(self, layer: str) -> None:
        self.bar.set_description(layer, refresh=False)

    def expect(self, count: int) -> None:
        self.bar.total += count

    def done(self, count: int) -> None:
        self.bar.update(count)


def _edge(row: Verdict) -> float:
    """Upper edge of Marchenko-Pastur in singular values, for noise of the mean square of all entries."""
    if not row.largest:
        return 0.0
    rows, columns = row.shape
    root = float(np.linalg.norm(row.singular_values / row.largest)) * row.largest / math.sqrt(rows * columns)
    return root * (math.sqrt(rows) + math.sqrt(columns))


def _p(p: float) -> str:
    return "" if math.isnan(p) else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _binomial(count: int, of: int, level: float) -> float:
    """Probability of `count` or more of `of` independent tests."""
    from scipy.special import bdtrc

    return float(bdtrc(count - 1, of, level))
