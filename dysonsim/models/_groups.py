"""Which levels share a well."""

from __future__ import annotations

import numpy as np

__all__ = ["level_groups"]

# Fixed points closer than this fraction of the largest one are one well: eigenvalues of exactly symmetric
# targets come out of LAPACK degenerate to about 1e-15.
_DEGENERACY_TOLERANCE = 1e-9


def level_groups(fixed: np.ndarray) -> list[tuple[int, ...]]:
    """List the indices of two or more ascending fixed points that coincide and are not 0."""
    tolerance = _DEGENERACY_TOLERANCE * float(fixed.max())
    wells = np.concatenate([[0], np.cumsum(np.diff(fixed) > tolerance)])
    groups = [tuple(int(i) for i in np.flatnonzero(wells == w)) for w in range(int(wells[-1]) + 1)]
    return [group for group in groups if len(group) > 1 and fixed[group[0]] > tolerance]
