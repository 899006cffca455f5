"""`spacing_ratios`: neighboring spacings over each other, which need no unfolding."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _checks
from ..ensembles.observable import Choice, Levels
from .rows import is_one_row, spectra_of

__all__ = ["spacing_ratios"]


def spacing_ratios(
    data: Any, order: int = 1, *, observable: Choice = "eigenvalues", levels: Levels = None, record: int = -1
) -> np.ndarray:
    """Compute ratios of neighboring spacings, the smaller over the larger: r_i = min(a, b)/max(a, b).

    a = x_{i+k} - x_i and b = x_{i+2k} - x_{i+k} are spacings of order k that share a level and do not overlap
    (Oganesyan and Huse, Phys. Rev. B 75 (2007) 155111; order k: Tekur, Bhosale, Santhanam, Phys. Rev. B 98 (2018)
    104305). The mean density drops out where it does not vary over 2 k spacings.

    Parameters
    ----------
    data : Run, or array (replicas, n) or (n,)
        Spectra, each row ascending; a point of a scan counts as a Run.
    order : int, >= 1
        k; at most (n - 1)/2.
    observable, levels, record :
        What to take from a Run, as for `compare`; one record.

    Returns
    -------
    (replicas, n - 2k) or (n - 2k,) array
        In [0, 1], in the order of the levels. `compare` takes it, with `laws.SpacingRatio(beta)`; order k follows that
        of beta' = beta k(k + 1)/2 + k - 1 approximately.

    Raises
    ------
    TypeError, ValueError
        For fewer than three levels, levels that coincide or are not ascending, an order that is too large.

    Examples
    --------
    >>> import dysonsim as ds
    >>> run = ds.simulate(ds.CoulombGas.hermite(n=20, beta=1.0), replicas=400, seed=1)
    >>> ratios = ds.spacing_ratios(run)
    >>> ratios.shape, round(float(ratios.mean()), 2)
    ((400, 18), 0.53)
    """
    rows = spectra_of(data, observable, levels, record, least=3)
    k = _checks.integer("order", order, 1, (rows.shape[1] - 1) // 2)
    below, above = rows[:, k:-k] - rows[:, : -2 * k], rows[:, 2 * k :] - rows[:, k:-k]
    found = np.minimum(below, above) / np.maximum(below, above)
    return found[0] if is_one_row(data) else found
