"""Closures: how the levels of a network move when its eigenvectors are left out.

To second order in a step dX the eigenvalues of X move by dX_ii + sum_j dX_ij^2/(x_i - x_j), in the eigenbasis of X:

    dx_i = [K_i + sum_{j != i} g_ij^2/(x_i - x_j)] dt + sqrt(2) g_ii dB_i,  g_ij^2 = Var dX_ij,  2 g_ii^2 = Var dX_ii.

This is exact for small steps, but K_i = E dX_ii depends on where the eigenvectors are, because the target of training
has a basis of its own. The paper (arXiv:2412.20496) takes the target's basis for them (closure "independent"). Levels
of one well then do what they should, but those of different wells repel as if their eigenvectors were free, while in
truth the target holds them: K_i falls by about half of that repulsion where an eigenvector turns out of its place.

"Corrected" puts E[K_i | x] for K_i. By Gyongy's theorem (1986) the equation then has the right distribution of the
levels at every time, if the conditional mean is the right one. Here it is that of the stationary state, to first order
in the strength alpha/|B| of the noise; `rbm_closure` and `linear_closure` derive it. A pair of eigenvectors that is
held weakly turns by a large angle theta: E sin^2 theta = (1 - I_1(a)/I_0(a))/2, the mean under exp(a cos 2 theta), with
1/(4a) the variance t of a small angle (exact for two levels of a Gaussian ensemble around a target with two wells).

Not valid early in training, in either closure: the first eigenvectors are random, not those of the target, so that SGD
starts differently from what levels alone can know (in the papers' runs the upper levels more slowly, the lower ones
faster, until they reach their wells); where several wells overlap; and where alpha/|B| is so large that the levels
leave the domain of the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks


@dataclass(frozen=True)
class DysonTerms:
    """Drift, noise and repulsion of the levels as the kernel layer takes them (`dysonsim.kernels.dyson.terms`).

    Parameters
    ----------
    build : callable
        ``build(lanes, n, **sizes)``: functions `drift`, `noise`, `noise_slope`, `pair` of lane values.
    sizes : dict
        What is fixed when compiling.
    reals : 1-D array
        The constants that these functions read.
    scratch : int
        Numbers of working space that `drift` needs.
    coordinate : {"eigenvalues", "singular_values"}
        What the levels are.
    """

    build: Callable[..., Any]
    sizes: dict[str, Any]
    reals: np.ndarray
    scratch: int
    coordinate: str


def check_closure(closure: str) -> bool:
    """Whether `closure` is "corrected"; ValueError if it is neither that nor "independent"."""
    return _checks.choice("closure", closure, ("corrected", "independent")) == "corrected"
