"""How widths should scale with learning rate and batch size, by optimizer: what `scaling_rule` compares with.

A level at rest fluctuates with variance Var = (effective rate) x (noise of a sample)/(2 |B|). Plain SGD has the rate
alpha; heavy ball with momentum m sums alpha m^k over the past, alpha/(1 - m), and its kicks, which sum independent
gradients, have the variance of those at alpha/sqrt(1 - m^2). Adam divides by the root mean square of the gradient,
which at rest is that of its noise, s/sqrt(|B|): the rate alpha sqrt(|B|)/s makes Var ~ alpha/sqrt(|B|), the square-root
rule, and kicks that do not depend on |B|.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ADAPTIVE = ("adam", "adamw", "nadam", "radam", "rmsprop")
SAME = ("weight_decay", "nesterov", "betas", "dampening", "amsgrad", "alpha", "centered")  # for runs to be compared


@dataclass(frozen=True)
class Rule:
    """Expected exponents of Var(level) and of g^2 of the kicks in the learning rate and in the batch size."""

    name: str
    alpha: float
    batch: float
    kicks_alpha: float
    kicks_batch: float


LINEAR = Rule("linear: Var ~ alpha/|B|", 1.0, -1.0, 2.0, -1.0)
ROOT = Rule("square root: Var ~ alpha/sqrt(|B|)", 1.0, -0.5, 2.0, 0.0)


def rule_of(optimizer: dict[str, Any]) -> Rule | None:
    """Return the rule of an optimizer; the linear one where it is not known, None where it has none that is known."""
    name = name_of(optimizer)
    if name in ("", "sgd"):
        return LINEAR
    return ROOT if name in ADAPTIVE else None


def name_of(optimizer: dict[str, Any]) -> str:
    """Return the name in lower case, "" where it is not known."""
    name = optimizer.get("name")
    return name.lower() if isinstance(name, str) else ""


def momentum_of(optimizer: dict[str, Any]) -> float:
    """Return m of heavy ball or Nesterov, 0 for others: what Adam's beta_1 does to a rate, it takes back."""
    m = optimizer.get("momentum") if name_of(optimizer) in ("", "sgd") else None
    return float(m) if isinstance(m, int | float) and 0 <= m < 1 else 0.0


def effective_rates(alpha: float, optimizer: dict[str, Any]) -> tuple[float, float]:
    """Return the learning rates of plain SGD with the same width, and with the same kicks."""
    m = momentum_of(optimizer)
    damped = optimizer.get("dampening") if m else None
    alpha = alpha * (1 - float(damped)) if isinstance(damped, int | float) else alpha
    return alpha / (1 - m), alpha / (1 - m * m) ** 0.5


def differences(optimizers: list[dict[str, Any]]) -> list[str]:
    """Name what, other than learning rate and momentum, is not the same in all runs."""
    names = {name_of(optimizer) for optimizer in optimizers}
    found = ["the optimizer"] if len(names) > 1 else []
    for key in SAME:
        values = {repr(o.get(key)) for o in optimizers}
        if len(values) > 1:
            found.append(key)
    return found
