"""What an optimizer makes of the gradients of a model: the same rule as a kernel and on NumPy arrays."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ... import _checks
from ...backend import Kernel
from ...kernels.networks import optimizers

__all__ = ["PLAIN", "Optimizer"]

MOST_DECAY = 1e6


@dataclass(frozen=True)
class Optimizer:
    """The rule by which gradients move weights, in PyTorch's conventions (`kernels.networks.optimizers`).

    adam : whether gradients are divided by the root of their mean square; `momentum` is beta1 then
    """

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    adam: bool = False
    beta2: float = 0.999
    epsilon: float = 1e-8

    @property
    def plain(self) -> bool:
        """Whether it is gradient descent."""
        return self == PLAIN

    @property
    def rule(self) -> str:
        """By its name in the kernel, where it is not plain."""
        if self.adam:
            return "adam"
        if self.momentum == 0:
            return "decay"
        return "nesterov" if self.nesterov else "momentum"

    def __str__(self) -> str:
        """Say in words what it is."""
        if self.adam:
            parts = ["Adam"]
        else:
            parts = [f"momentum = {self.momentum:g}" + (" (Nesterov)" if self.nesterov else "")] * (self.momentum > 0)
        parts += [f"weight_decay = {self.weight_decay:g}"] * (self.weight_decay > 0)
        return " and ".join(parts) or "plain SGD"

    def remembered(self, weights: int) -> int:
        """Numbers behind a model's own state: velocities or moments."""
        return 0 if self.plain else optimizers.extra(self.rule, weights)

    def kernel(self, inner: Kernel, learning_rate: float) -> Kernel:
        """Return the kernel of a model's own step, `inner`, with this rule around it; itself where that is plain."""
        if self.plain:
            return inner
        basis = inner.basis if self.adam else None  # the other rules are linear, the same in any basis
        columns = 0 if basis is None else len(basis)
        constants = np.zeros(optimizers.CONSTANTS)
        constants[optimizers.RATE] = learning_rate
        constants[optimizers.INVERSE_RATE] = 1 / learning_rate
        constants[optimizers.DECAY] = self.weight_decay
        constants[optimizers.MOMENTUM] = self.momentum
        constants[optimizers.FRESH] = 1 - self.momentum
        constants[optimizers.BETA2] = self.beta2
        constants[optimizers.FRESH2] = 1 - self.beta2
        constants[optimizers.EPSILON] = self.epsilon
        counts = inner.weights, inner.state, inner.scratch, len(inner.reals), columns
        sizes = {"inner": inner.build, "rule": self.rule, "whole": inner.whole, "counts": counts}
        own = np.zeros(optimizers.extra(self.rule, inner.weights))
        return dataclasses.replace(
            inner,
            build=optimizers.build,
            sizes=sizes | {f"{optimizers.PREFIX}{name}": size for name, size in inner.sizes.items()},
            reals=np.concatenate([inner.reals, constants, np.empty(0) if basis is None else basis.ravel()]),
            extra=np.concatenate([np.ravel(inner.extra), own]) if len(own) else inner.extra,
            scratch=inner.scratch + optimizers.scratch(self.rule, inner.weights, columns > 0),
            work=inner.work + 10.0 * inner.weights + 2.0 * columns * inner.weights,
        )

    def moved(
        self, before: np.ndarray, after: np.ndarray, memory: np.ndarray, learning_rate: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the new weights and memory of networks, (networks, numbers), from weights before and after plain SGD.

        In the float type of the arrays: the reference of the kernel.
        """
        number = before.dtype.type
        rate, decay, m = number(learning_rate), number(self.weight_decay), number(self.momentum)
        gradient = (before - after) / rate + decay * before
        if not self.adam:
            velocity = m * memory + gradient if self.momentum else gradient
            move = gradient + m * velocity if self.nesterov else velocity
            return before - rate * move, velocity if self.momentum else memory
        weights, b2 = before.shape[1], number(self.beta2)
        fresh, fresh2 = number(1 - self.momentum), number(1 - self.beta2)
        mean = m * memory[:, :weights] + fresh * gradient
        square = b2 * memory[:, weights : 2 * weights] + fresh2 * gradient**2
        known = np.array([m, b2]) * memory[:, 2 * weights :] + np.array([fresh, fresh2])
        share, root = known[:, :1], np.sqrt(known[:, 1:])
        move = (mean / share) / (np.sqrt(square) / root + number(self.epsilon))
        return before - rate * move, np.concatenate([mean, square, known], axis=1)

    @classmethod
    def checked(cls, **given: object) -> Optimizer:
        """Make one of arguments as a caller names them; ValueError or TypeError for those that are not allowed."""
        decay = _checks.real("weight_decay", given["weight_decay"], at_least=0, below=MOST_DECAY)
        if "beta1" in given:
            return cls(
                momentum=_checks.real("beta1", given["beta1"], at_least=0, below=1),
                weight_decay=decay,
                adam=True,
                beta2=_checks.real("beta2", given["beta2"], at_least=0, below=1),
                epsilon=_checks.real("eps", given["eps"], at_least=0, below=1e30),
            )
        momentum = _checks.real("momentum", given["momentum"], at_least=0, below=1)
        nesterov = _checks.flag("nesterov", given["nesterov"])
        if nesterov and momentum == 0:
            raise ValueError("nesterov = True: must be with momentum > 0")
        return cls(momentum, nesterov, decay)


PLAIN = Optimizer()
