"""What `stationary` returns: the Gaussian law of the weights around a fixed point."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ... import _checks
from ...numerics.singular_values import singular_values

__all__ = ["Stationary"]

DRAWS = 2**15  # of the weights, for mean spacings
TOGETHER = 0.25  # levels nearer than this times their width share a well
SMALL = 1e-6  # step of the derivatives of a matrix of the weights, over their size


@dataclass(frozen=True, eq=False, repr=False)
class Stationary:
    """Fluctuations of the weights of a process around a fixed point, as `stationary` predicts them.

    Attributes
    ----------
    process : SGD or Adam
    fixed_point : (w,) array
        Weights that a step leaves as they are in the mean, all matrices one after the other, row by row.
    covariance : (w, w) array
        Of the weights, in discrete time; 0 along flat directions.
    leading : (w, w) array
        The same to leading order in the learning rate: H S + S H = alpha Cov(gradient), over 1 - m with momentum.
    mean_shift : (w,) array
        Mean of the weights less their fixed point, to first order in the covariance.
    flat_directions : int
        Directions without a restoring force, along which nothing is predicted.
    flat_noise : float
        Variance of the gradient of a batch, summed over these directions: 0 if nothing moves there at this order.
    error : float
        Relative standard error of the mean variance, from the random inputs that it was computed with.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), label_noise=0.5), learning_rate=0.05, batch_size=16)
    >>> isinstance(ds.stationary(sgd), ds.Stationary)
    True
    """

    process: Any
    fixed_point: np.ndarray
    covariance: np.ndarray
    leading: np.ndarray
    mean_shift: np.ndarray
    flat_directions: int
    flat_noise: float
    error: float
    memory: np.ndarray = field(default_factory=lambda: np.empty(0))  # what a step remembers beside the weights

    def rvs(self, n: int, random_state: Any = None) -> np.ndarray:
        """Draw weights from the Gaussian law with this mean and covariance.

        Parameters
        ----------
        n : int
            How many networks.
        random_state : int or numpy.random.Generator, optional

        Returns
        -------
        (n, w) array
            As `fixed_point`; `matrices` cuts it.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), label_noise=0.5), learning_rate=0.05, batch_size=16)
        >>> ds.stationary(sgd).rvs(10, random_state=1).shape
        (10, 4)
        """
        n = _checks.integer("n", n, 1)
        values, vectors = np.linalg.eigh(self.covariance)
        z = _checks.generator(random_state).standard_normal((n, len(values)))
        mean = self.fixed_point + self.mean_shift
        return np.asarray(mean + (z * np.sqrt(np.clip(values, 0, None))) @ vectors.T)

    def spectral_matrix(self, weights: np.ndarray) -> np.ndarray:
        """Return the matrix whose singular values a run records, of weights (networks, w)."""
        rows = np.asarray(weights, float)
        state = np.concatenate([rows, np.broadcast_to(self.memory, (len(rows), len(self.memory)))], axis=1)
        return np.asarray(self.process.model.spectral_matrix(state), float)

    @cached_property
    def singular_values(self) -> np.ndarray:
        """Singular values at the fixed point, (n,), ascending."""
        return singular_values(self.spectral_matrix(self.fixed_point[None]))[0]

    @cached_property
    def widths(self) -> np.ndarray:
        """Standard deviation of every singular value in a well of its own, (n,): first order in the fluctuations.

        In a group that shares a well, the root of the mean variance: the parameter of its ensemble.
        """
        matrix = self.spectral_matrix(self.fixed_point[None])[0]
        step = SMALL * max(1.0, float(np.abs(self.fixed_point).max()))
        moved = step * np.eye(len(self.fixed_point))
        ahead, behind = (self.spectral_matrix(self.fixed_point + sign * moved) for sign in (1, -1))
        slopes = (ahead - behind) / (2 * step)  # (w, p, n)
        left, values, right = np.linalg.svd(matrix)
        of_levels = np.zeros((matrix.shape[1], len(self.fixed_point)))
        for k in range(len(values)):
            of_levels[matrix.shape[1] - 1 - k] = left[:, k] @ slopes @ right[k]
        variance = np.einsum("ia,ab,ib->i", of_levels, self.covariance, of_levels)
        for group in self._groups(np.sqrt(np.clip(variance, 0, None))):
            variance[list(group)] = variance[list(group)].mean()
        return np.sqrt(np.clip(variance, 0, None))

    @cached_property
    def degenerate_groups(self) -> list[tuple[int, ...]]:
        """Groups of two or more levels that share a well: nearer than a quarter of their width."""
        return self._groups(self.widths)

    def _groups(self, widths: np.ndarray) -> list[tuple[int, ...]]:
        values = self.singular_values
        near = np.diff(values) <= TOGETHER * (widths[1:] + widths[:-1]) / 2
        wells = np.concatenate([[0], np.cumsum(~near)])
        found = [tuple(int(i) for i in np.flatnonzero(wells == w)) for w in range(int(wells[-1]) + 1)]
        return [group for group in found if len(group) > 1 and values[group[0]] > 0 and widths[list(group)].max() > 0]

    @cached_property
    def spacings(self) -> np.ndarray:
        """Mean spacing of the singular values in every group of `degenerate_groups`, (groups,), from `rvs`."""
        levels = singular_values(self.spectral_matrix(self.rvs(DRAWS, 0)))
        return np.array([np.diff(levels[:, list(group)], axis=1).mean() for group in self.degenerate_groups])

    def __str__(self) -> str:
        """Write what is known of the levels."""
        flat = f"{self.flat_directions} of {len(self.fixed_point)} directions are flat"
        noise = f", with gradient noise {self.flat_noise:.3g} in them" if self.flat_directions else ""
        mean = math.sqrt(max(float(np.trace(self.covariance)), 0.0) / max(1, len(self.covariance)))
        lines = [f"stationary state of {self.process}", f"  {flat}{noise}"]
        lines += [f"  standard deviation of a weight {mean:.4g} (± {50 * self.error:.1g}%)"]
        lines += [f"  singular value {v:.5g} with width {s:.4g}" for v, s in zip(self.singular_values, self.widths)]  # noqa: B905
        groups = zip(self.degenerate_groups, self.spacings, strict=True)
        lines += [f"  mean spacing of levels {group}: {spacing:.4g}" for group, spacing in groups]
        return "\n".join(lines)

    __repr__ = __str__
