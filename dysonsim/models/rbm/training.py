"""What trains a Gaussian RBM: the kernels of SGD and Langevin. `gaussian_rbm.py` has the predictions."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property

import numpy as np

from ... import _checks
from ...backend import Kernel, one_blas_thread
from ...kernels.networks import rbm, rbm_langevin, rbm_large
from ..base import Model
from .eigenbasis import eigenbasis

TALL = 24  # visible units from which matrices do not stay in the cache: fewer networks at a time, larger tiles
MOST_NOISES = 1000  # Gibbs steps whose polynomials are made
LARGE = 96  # units from which step by step, one network at a time, with BLAS is faster than side by side


class RBMTraining(Model):
    """Kernels of a Gaussian RBM; see `dysonsim.models.rbm.gaussian_rbm` for symbols."""

    target: np.ndarray
    mu: float
    sigma: float
    gibbs_steps: float
    sampling: str

    @one_blas_thread()
    def kernel(self, learning_rate: float, batch_size: int) -> Kernel:
        """Return the update by persistent contrastive divergence, `dysonsim.kernels.networks.rbm`."""
        learning_rate, batch_size = self._rates(learning_rate, batch_size)
        p, n = self.weight_shape
        k = 1 if self.gibbs_steps == math.inf else int(self.gibbs_steps)
        sampling = self._fastest_sampling(batch_size)
        # K = mu^2 - sigma^2 X cannot be positive once the trace of sigma^2 X / mu^2 reaches n.
        constants = [learning_rate * self.sigma**2, self.sigma, 1 / self.mu, 1 / batch_size, n]
        polynomials = rbm.noise_polynomials(k).ravel() if sampling == "two_noises" else np.empty(0)
        if n * p >= LARGE**2 or rbm.thin_learning(n, p, batch_size):
            basis, target = self._eigenbasis, 1 / np.diag(self._eigenbasis.T @ self.target @ self._eigenbasis)
        else:
            basis, target = None, np.linalg.inv(self.target).ravel()
        if batch_size * n >= 2**58:
            raise MemoryError(f"batch_size = {batch_size}: so many chains do not fit into any memory")
        chains = np.broadcast_to(1.0 if basis is None else basis.sum(axis=0), (batch_size, n))  # takes no memory
        sizes = {"n_visible": n, "n_hidden": p, "sampling": sampling, "tall": n >= TALL, "diagonal": basis is not None}
        return Kernel(
            build=rbm.build,
            sizes=sizes,
            reals=np.concatenate([constants, target, polynomials]),
            integers=np.array([batch_size, k]),
            weights=p * n,
            extra=chains,
            scratch=rbm.scratch(n, p, batch_size, sampling, basis is not None),
            vectors=1 if n < TALL else 0.5,
            matrix=(p, n),
            work=self._work(sampling, batch_size),
            basis=basis,
        )

    def large_kernel(self, learning_rate: float, batch_size: int) -> Kernel | None:
        """Return the same update for one network at a time, `dysonsim.kernels.networks.rbm_large`."""
        p, n = self.weight_shape
        learning_rate, batch_size = self._rates(learning_rate, batch_size)
        if self._fastest_sampling(batch_size) != "step_by_step" or n * p < LARGE**2:  # then the target is diagonal
            return None
        kernel = self.kernel(learning_rate, batch_size)
        return dataclasses.replace(
            kernel,
            build=rbm_large.build,
            sizes={"n_visible": n, "n_hidden": p},
            scratch=rbm_large.scratch(n, p, batch_size),
            vectors=1,
            whole=True,
            matrix=None,
        )

    @one_blas_thread()
    def langevin_kernel(self, learning_rate: float, batch_size: int, correlated: bool | None = None) -> Kernel:
        """Return the update with a Gaussian C, `kernels.networks.rbm_langevin`; C starts from phi = 1, as chains do."""
        learning_rate, batch_size = self._rates(learning_rate, batch_size)
        p, n = self.weight_shape
        fresh = self.gibbs_steps == math.inf
        correlated = not fresh if correlated is None else _checks.flag("correlated", correlated)
        if correlated and fresh:
            raise ValueError("correlated = True: must be False where gibbs_steps = inf, fresh samples remember nothing")
        constants = [learning_rate * self.sigma**2, self.sigma, 1 / self.mu, 1 / math.sqrt(batch_size), n]
        return Kernel(
            build=rbm_langevin.build,
            sizes={"n_visible": n, "n_hidden": p, "correlated": correlated, "tall": n >= TALL},
            reals=np.concatenate([constants, np.linalg.inv(self.target).ravel()]),
            integers=np.array([0 if fresh else int(self.gibbs_steps)]),
            weights=p * n,
            extra=np.broadcast_to(1.0, n * n if correlated else 0),
            scratch=rbm_langevin.scratch(n, p, correlated),
            vectors=1 if n < TALL else 0.5,
        )

    def _fastest_sampling(self, batch_size: int) -> str:
        """How the kernel draws the chains."""
        p, n = self.weight_shape
        if self.gibbs_steps == math.inf:
            return "fresh"
        if self.sampling != "auto":
            return self.sampling
        if n * p >= LARGE**2:
            return "step_by_step"
        cost = rbm.costs(n, p, batch_size, int(self.gibbs_steps))
        if self.gibbs_steps > MOST_NOISES:
            del cost["two_noises"]
        return min(cost, key=lambda name: cost[name])

    def _work(self, sampling: str, batch_size: int) -> float:
        """Multiply-adds of a step, roughly."""
        p, n = self.weight_shape
        k = 1 if sampling == "fresh" else int(self.gibbs_steps)
        return rbm.costs(n, p, batch_size, k)["at_once" if sampling == "fresh" else sampling] + 2.0 * n * n * p

    @cached_property
    def _eigenbasis(self) -> np.ndarray:
        """The basis in which the target is diagonal."""
        return eigenbasis(self.target)
