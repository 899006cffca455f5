"""`ScalingRule`: exponents with errors, and what they say in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._text import aligned, plain, with_error
from .rules import LINEAR, Rule

__all__ = ["Exponent", "Point", "ScalingRule"]

BAND = 0.25  # around the expected exponent: half way to that of the next rule
EPOCHS = (1.5, 2.3)  # exponents, over those of the rule, that batches without replacement have
HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "not determined"
WITHOUT = "does not hold: batches without replacement"


@dataclass(frozen=True)
class Exponent:
    """A fitted exponent with its standard error, what the rule expects, and chi^2 of the fit with its dof."""

    value: float
    error: float
    expected: float
    chi2: float
    dof: int

    @property
    def deviation(self) -> float:
        """(value - expected)/error."""
        return (self.value - self.expected) / self.error

    @property
    def near(self) -> bool:
        """Whether the value is within 0.25 of what is expected, with an error of at most half of that."""
        return abs(self.value - self.expected) <= BAND and self.error <= BAND / 2

    @property
    def verdict(self) -> str:
        """Whether value +- 2 errors lies within 0.25 of what is expected, beyond, or partly."""
        away = abs(self.value - self.expected)
        if away + 2 * self.error <= BAND:
            return HOLDS
        return FAILS if away - 2 * self.error > BAND else UNKNOWN

    def __str__(self) -> str:
        return with_error(self.value, self.error)


@dataclass(frozen=True)
class Point:
    """One segment: what was set, and the logarithms of Var of sums of levels and of g^2 of the kicks, with errors.

    `rate` and `kick_rate` are the learning rates of SGD without momentum that has the same width, and the same kicks;
    `window` is the number of relaxation times of the slowest sum.
    """

    learning_rate: float
    batch_size: float
    rate: float
    kick_rate: float
    log_variance: float
    log_variance_error: float
    log_kicks: float
    log_kicks_error: float
    steps: tuple[int, int]
    window: float


@dataclass(frozen=True, eq=False, repr=False)
class ScalingRule:
    """Result of `scaling_rule`.

    Attributes
    ----------
    layer : str
    rule : Rule
        What was expected, by the optimizer: `name`, and the exponents `alpha`, `batch`, `kicks_alpha`, `kicks_batch`.
    alpha, batch : Exponent or None
        Of Var(sums of levels) in the learning rate, alpha/(1 - m) with momentum m, and in the batch size: `value`,
        `error`, `expected`, `deviation`, `verdict`. None for what does not vary by itself.
    ratio : Exponent or None
        Of Var in what the rule says it is proportional to, alpha/|B| or alpha/sqrt(|B|): 1 expected.
    kicks_alpha, kicks_batch : Exponent or None
        Of g^2 of the kicks.
    points : tuple of Point
    groups : tuple of tuple of int
        Levels whose sums were looked at.
    sampling, optimizer : str or None
        What the recordings say.
    reasons, notes : tuple of str
        Why nothing is determined, if so; what was assumed.

    Examples
    --------
    >>> import numpy as np, types, dysonsim as ds
    >>> def recording(alpha, rng):
    ...     x = np.zeros((5000, 2))
    ...     for t in range(1, 5000):
    ...         x[t] = (1 - alpha) * x[t - 1] + alpha / 4 * rng.normal(size=2)
    ...     layer = types.SimpleNamespace(singular_values=x + [5, 10], steps=np.arange(5000), learning_rate=alpha,
    ...                                   batch_size=16)
    ...     return {"fc": layer}
    >>> rng = np.random.default_rng(1)
    >>> found = ds.scaling_rule([recording(alpha, rng) for alpha in (0.05, 0.1, 0.2)], "fc")
    >>> print(abs(found.alpha.value - 1) < 0.15, found.batch)
    True None
    """

    layer: str
    rule: Rule
    alpha: Exponent | None
    batch: Exponent | None
    ratio: Exponent | None
    kicks_alpha: Exponent | None
    kicks_batch: Exponent | None
    points: tuple[Point, ...]
    groups: tuple[tuple[int, ...], ...]
    sampling: str | None
    optimizer: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """One of "holds", "does not hold", "does not hold: batches without replacement", "not determined"."""
        return self._judged[0]

    @property
    def reason(self) -> str:
        """Why."""
        return self._judged[1]

    @property
    def _judged(self) -> tuple[str, str]:
        if self.reasons:
            return UNKNOWN, "; ".join(self.reasons)
        tested = {"alpha": self.alpha, "|B|": self.batch, "what the rule is about": self.ratio}
        known = {name: e for name, e in tested.items() if e is not None}
        if self.ratio is None:
            return UNKNOWN, "neither alpha nor |B| varies as the rule needs it"
        text = ", ".join(f"exponent {e} in {name} for {e.expected:g}" for name, e in known.items())
        failing = [e for e in known.values() if e.verdict == FAILS]
        if not failing:
            if self.ratio.verdict == HOLDS and all(e.near for e in known.values()):
                return HOLDS, text
            return UNKNOWN, f"the errors are too large: {text}"
        twice = all(EPOCHS[0] <= e.value / e.expected <= EPOCHS[1] for e in failing)
        if self.rule != LINEAR or not twice:
            return FAILS, text
        kicks = [e for e in (self.kicks_alpha, self.kicks_batch) if e is not None]
        if any(abs(e.value - e.expected) > 2 * BAND for e in kicks):
            return FAILS, f"{text}; the kicks do not follow their rule either"
        if not kicks and self.sampling != "without_replacement":
            return FAILS, f"{text}: as for batches without replacement, but kicks were not recorded"
        said = {
            "with_replacement": ", although the recording says that batches are drawn with replacement",
            "without_replacement": ", as the recording says",
        }.get(self.sampling or "", "")
        return WITHOUT, f"{text}, near 2 while the kicks follow their rule: the batches of an epoch cancel{said}"

    def __repr__(self) -> str:
        return f"<ScalingRule of {self.layer!r}: {self.verdict}>"

    def __str__(self) -> str:
        rows = [["", "exponent", "expected", "chi2/dof"]]
        names = {"alpha": "Var in alpha", "batch": "Var in |B|", "ratio": "Var in the rule", "kicks_alpha":
                 "g^2 of kicks in alpha", "kicks_batch": "g^2 of kicks in |B|"}  # fmt: skip
        for key, text in names.items():
            e = getattr(self, key)
            if e is not None:
                rows.append([text, str(e), f"{e.expected:g}", f"{e.chi2:.3g}/{e.dof}"])
        table = [["alpha", "|B|", "log Var", "log g^2", "window", "steps"]]
        for p in self.points:
            kicks = "" if np.isnan(p.log_kicks) else with_error(p.log_kicks, p.log_kicks_error)
            table.append([f"{p.learning_rate:g}", f"{p.batch_size:g}", with_error(p.log_variance, p.log_variance_error),
                          kicks, f"{p.window:.3g}", f"{p.steps[0]} to {p.steps[1]}"])  # fmt: skip
        head = f"scaling rule of {self.layer!r}, {self.rule.name}: {len(self.points)} points"
        if self.groups:
            head += f", {sum(map(len, self.groups))} levels in {len(self.groups)} groups"
        lines = [head, aligned(rows), aligned(table), *(f"  {note}" for note in self.notes)]
        return "\n".join([*lines, f"  verdict: {self.verdict} ({self.reason})"])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        values = {name: value if isinstance(value, str | tuple | None) else vars(value)
                  for name, value in vars(self).items()}  # fmt: skip
        values |= {"points": [vars(p) for p in self.points], "verdict": self.verdict, "reason": self.reason}
        return plain(values)

    def plot(self, ax: Any = None) -> Any:
        """Draw Var of sums of levels against what the rule says, with the rule and the fit, on `ax`; returns it."""
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        ax.set_title(f"{self.layer}: {self.verdict}", fontsize="small", wrap=True)
        if not self.points:
            return ax
        logs = np.array([self.rule.alpha * np.log(p.rate) + self.rule.batch * np.log(p.batch_size)
                         for p in self.points])  # fmt: skip
        y, error = (np.array([getattr(p, k) for p in self.points]) for k in ("log_variance", "log_variance_error"))
        ax.errorbar(np.exp(logs), np.exp(y), np.exp(y) * error, fmt="o", markersize=4, capsize=2, label="Var of sums")
        line, middle = np.array([logs.min(), logs.max()]), (logs.mean(), y.mean())
        for slope, style, text in ((1.0, "k--", "rule"), (self.ratio and self.ratio.value, "C1-", "fit")):
            if slope is not None:
                label = f"{text}: exponent {self.ratio if text == 'fit' else 1}"
                ax.plot(np.exp(line), np.exp(middle[1] + slope * (line - middle[0])), style, linewidth=1, label=label)
        ax.set(xscale="log", yscale="log", xlabel=self.rule.name.rpartition("~ ")[2], ylabel="variance")
        ax.legend(fontsize="small")
        return ax
