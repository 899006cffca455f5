"""The phase diagram of networks whose middle layer is trained, over the spread of its start and the temperature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .. import _checks
from .._text import aligned, plain
from ..ensembles.run import Run
from ..models import NeuralNetwork
from ..processes import SGD
from .order_parameters import NAMES, order_parameters
from .result import Scan
from .scan import scan

__all__ = ["PhaseDiagram", "phase_diagram"]

TITLES = {
    "overlap": "overlap q of features, start and end", "alignment": "alignment h with the teacher's target",
    "spacing_growth": "growth of spacings, ln(end/start)", "loss": "test loss",
    "confined": "networks whose drift outweighs repulsion",
}  # fmt: skip
INVERSE_SIGMA = tuple(2.0**k for k in range(3, -9, -1))  # 8 to 1/256
TEMPERATURE = tuple(2.0**k for k in range(-5, 7))  # 1/32 to 64
SHARE = 0.68  # of networks that are confined, at T_c
SIGMA_SQUARED = 0.5  # of the start, at the other boundary
ROWS = 12  # in print
REPLICAS = 64  # in a piece: whole lane values


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """Result of `phase_diagram`: maps, (inverse sigmas, temperatures), of means over networks.

    Attributes
    ----------
    network : NeuralNetwork
    inverse_sigma, temperature : arrays
        Axes: 1/sigma_W of the start, and T = learning rate/batch size.
    batch_size, updates, replicas : int
        |B|, updates of each network, networks of each point.
    maps, errors : dict of arrays
        "overlap", "alignment", "spacing_growth", "loss", "confined"; errors are standard errors. NaN where training
        diverged.
    scan : Scan
        All that was measured, network by network: ``scan.dataset``, ``scan.failures``.

    Examples
    --------
    >>> import dysonsim as ds
    >>> found = ds.phase_diagram(inverse_sigma=(2.0, 0.25), temperature=(0.1, 4.0), updates=2000, replicas=8, seed=1)
    >>> growth = found.maps["spacing_growth"]
    >>> bool(growth[0, 1] > growth[0, 0] > growth[1, 0])  # hot and narrow, cool and narrow, cool and wide
    True
    """

    network: NeuralNetwork
    inverse_sigma: np.ndarray
    temperature: np.ndarray
    batch_size: int
    updates: int
    replicas: int
    maps: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    scan: Scan

    def critical_temperature(self) -> np.ndarray:
        """Return T_c for each 1/sigma_W: below it 68% of networks or more are confined.

        The share is taken to fall with T (its isotonic regression), and interpolated in ln T; NaN where it does not
        cross 68%. With n networks a point it has an error of up to 0.5/sqrt(n): with 8, T_c is known to about a factor
        of two, and in single rows to one of four, as the boundary of arXiv:2509.01349 with 100 networks a point shows.
        """
        from scipy.optimize import isotonic_regression

        logs, out = np.log(self.temperature), np.full(len(self.inverse_sigma), np.nan)
        order = np.argsort(logs)
        for row, measured in enumerate(self.maps["confined"][:, order]):
            there = np.isfinite(measured)
            if not there.any():
                continue
            share, at = isotonic_regression(measured[there], increasing=False).x, logs[order][there]
            k = int(np.searchsorted(-share, -SHARE, side="right"))  # the first that is below
            if 0 < k < len(share):
                part = (share[k - 1] - SHARE) / (share[k - 1] - share[k])
                out[row] = np.exp(at[k - 1] + part * (at[k] - at[k - 1]))
        return out

    @property
    def critical_inverse_sigma(self) -> float:
        """1/sigma_W at the other boundary, sigma_W^2 = 1/2: starts that are wider are jammed where it is cool."""
        return SIGMA_SQUARED**-0.5

    def to_dict(self) -> dict[str, Any]:
        """Return axes, maps, errors and the boundary as JSON knows them."""
        return plain({
            "network": repr(self.network), "batch_size": self.batch_size, "updates": self.updates,
            "replicas": self.replicas, "inverse_sigma": self.inverse_sigma, "temperature": self.temperature,
            "maps": self.maps, "errors": self.errors, "critical_temperature": self.critical_temperature(),
            "critical_inverse_sigma": self.critical_inverse_sigma,
        })  # fmt: skip

    def plot(self, name: str = "overlap", ax: Any = None) -> Any:
        """Draw one map with both boundaries, over 1/sigma_W and T; returns the axes.

        Parameters
        ----------
        name : {"overlap", "alignment", "spacing_growth", "loss", "confined"}
        ax : matplotlib axes, optional
        """
        _checks.choice("name", name, NAMES)
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        return draw_map(ax, self.to_dict(), name)

    def __str__(self) -> str:
        failed = f", {len(self.scan.failures)} failed" if self.scan.failures else ""
        head = (
            f"phase diagram of {self.network}\n{self.scan.points.size} points x {self.replicas} networks{failed}, "
            f"|B| = {self.batch_size}, after {self.updates} updates"
        )
        coolest, hottest = np.argmin(self.temperature), np.argmax(self.temperature)
        ends = [f"T = {self.temperature[k]:g}" for k in (coolest, hottest)]
        shown = ("overlap", "spacing_growth", "loss")
        rows = [["1/sigma_W", "T_c", *(f"{name.replace('_', ' ')}, {end}" for name in shown for end in ends)]]
        for row, critical in list(enumerate(self.critical_temperature()))[:ROWS]:
            values = [f"{self.maps[name][row, k]:.3g}" for name in shown for k in (coolest, hottest)]
            rows.append([f"{self.inverse_sigma[row]:g}", "-" if np.isnan(critical) else f"{critical:.3g}", *values])
        return f"{head}\n{aligned(rows)}"

    __repr__ = __str__


def phase_diagram(
    network: NeuralNetwork | None = None,
    *,
    inverse_sigma: Sequence[float] = INVERSE_SIGMA,
    temperature: Sequence[float] = TEMPERATURE,
    batch_size: int = 4,
    updates: int = 100_000,
    replicas: int = 8,
    seed: int = 0,
    **how: Any,
) -> PhaseDiagram:
    """Map what becomes of the features of networks whose middle layer is trained (arXiv:2509.01349).

    The network is y = Z a(W a(M x)); only W (K x L) is trained, from normal entries of variance sigma_W^2/L, on labels
    of a teacher with the same M and Z. M, Z, the teacher's W_t and the data are drawn anew for every network. Over
    1/sigma_W and the temperature T = alpha/|B| training has three phases: levels of W W^T that reach the teacher's
    (small sigma_W, small T), that diffuse (large T), and that stay where they began (large sigma_W, small T).

    Mapped are, with features s = a(W a(M x)) and means over 128 test inputs:

    - "overlap": q = <s at the start . s at the end>/K;
    - "alignment": h = the cosine between the matrices (sample, unit) of y_t Z and of s, over 128;
    - "spacing_growth": ln of the mean spacing of W W^T at the end over that at the start;
    - "loss": <(y - y_t)^2>;
    - "confined": 1 where the drift of the levels outweighs their repulsion (`dysonsim.scans.order_parameters`).

    Boundaries are sigma_W^2 = 1/2, and T_c, below which 68% of networks are confined. Overlaps where levels stay, and
    losses at low T, depend on the number of updates: the paper has 10^8. T alone does not collapse the map at other
    batch sizes.

    Parameters
    ----------
    network : NeuralNetwork, optional
        Of three layers, the middle one trained, one output, and teachers that are drawn. Default: the paper's, widths
        3, 32, 16, 1, tanh, 4000 fixed samples for each network.
    inverse_sigma, temperature : sequences of float
        Axes, > 0; default: the paper's 12 x 12 points.
    batch_size, updates, replicas, seed : int
        |B|, updates of each network, networks at each point, seed.
    **how
        Further arguments of `scan`: `path` to go on after an interruption, `client` for a cluster, `dtype`, `device`,
        `threads`, `progress`, `common`. By default all points share their random numbers (`common`), and so the
        networks, which makes the maps smooth.

    Returns
    -------
    PhaseDiagram
        Print it, or draw a map with `plot`.

    Raises
    ------
    TypeError, ValueError
        For an argument that is not allowed, and whatever `scan` raises.

    Warns
    -----
    RuntimeWarning
        If trainings diverged, which happens where units do not saturate; the map has NaN there.

    Examples
    --------
    >>> import dysonsim as ds
    >>> found = ds.phase_diagram(inverse_sigma=(2.0, 0.25), temperature=(0.1, 4.0), updates=2000, replicas=8, seed=1)
    >>> print(found.maps["overlap"].round(1))
    [[0.1 0. ]
     [0.5 0.2]]
    """
    network = _checked(network)
    sizes, temperatures = (
        _axis(name, values) for name, values in (("inverse_sigma", inverse_sigma), ("temperature", temperature))
    )
    batch_size = network.check_batch_size(batch_size)
    updates = _checks.integer("updates", updates, 1)
    replicas = _checks.integer("replicas", replicas, 1)
    measured: dict[str, Callable[[Run], np.ndarray]] = {name: partial(_measure, name=name) for name in NAMES}
    found = scan(
        partial(_training, network=network, batch_size=batch_size),
        {"inverse_sigma": sizes.tolist(), "temperature": temperatures.tolist()},
        replicas=replicas, seed=seed, steps=updates, record_steps=[0, updates], keep_weights=True, measure=measured,
        **{"common": True, "piece": min(replicas, REPLICAS)} | how,
    )  # fmt: skip
    nothing = np.full(found.points.shape, np.nan)
    means = {name: tuple(found.mean(name)) if found.table.measured else (nothing, nothing) for name in NAMES}
    maps, errors = ({name: np.asarray(means[name][k]) for name in NAMES} for k in (0, 1))
    return PhaseDiagram(network, sizes, temperatures, batch_size, updates, replicas, maps, errors, found)


def _training(inverse_sigma: float, temperature: float, network: NeuralNetwork, batch_size: int) -> SGD:
    """Return the process of a point."""
    scale = 1 / (inverse_sigma * network.widths[1] ** 0.5)
    return SGD(network, learning_rate=temperature * batch_size, batch_size=batch_size, init_scale=scale)


def _measure(run: Run, name: str) -> np.ndarray:
    return order_parameters(run)[name]


def _checked(network: Any) -> NeuralNetwork:
    """Return the network, by default the paper's; TypeError or ValueError if its features are not defined."""
    if network is None:
        return NeuralNetwork((3, 32, 16, 1), trained=(False, True, False), dataset_size=4000, init="normal")
    if not isinstance(network, NeuralNetwork):
        raise TypeError(f"network = {_checks.shown(network)}: must be a NeuralNetwork")
    wanted = {
        "trained": (False, True, False), "teacher": None, "init": "normal", "widths": (*network.widths[:3], 1),
    }  # fmt: skip
    for name, value in wanted.items():
        if getattr(network, name) != value:
            what = "of three layers with one output" if name == "widths" else f"{name} = {value!r}"
            raise ValueError(f"network has {name} = {_checks.shown(getattr(network, name))}: must be {what}")
    if network.widths[2] < 3:
        raise ValueError(f"network has widths = {network.widths}: must have three or more units in its second layer")
    return network


def _axis(name: str, values: Any) -> np.ndarray:
    want = "one or more different numbers > 0"
    axis = _checks.array(name, values, want, dimensions=(1,))
    if (axis <= 0).any() or len(np.unique(axis)) < len(axis):
        raise ValueError(f"{name} = {_checks.shown(values)}: must be {want}")
    for k, value in enumerate(axis):
        _checks.scale(f"{name}[{k}]", value)
    return axis


def draw_map(axes: Any, found: dict[str, Any], name: str) -> Any:
    """Draw a map of `PhaseDiagram.to_dict` with both boundaries into axes, and return these."""
    from matplotlib.colors import LogNorm

    across, up = (np.array(found[key], float) for key in ("inverse_sigma", "temperature"))
    values = np.array(found["maps"][name], float)
    columns, rows = np.argsort(across), np.argsort(up)
    norm = LogNorm() if name == "loss" and np.nanmin(values) > 0 else None
    image = axes.pcolormesh(_edges(across[columns]), _edges(up[rows]), values[np.ix_(columns, rows)].T, norm=norm)
    axes.figure.colorbar(image, ax=axes)
    axes.plot(across[columns], np.array(found["critical_temperature"], float)[columns], "w-", linewidth=2)
    axes.axvline(found["critical_inverse_sigma"], color="white", linestyle="--", linewidth=1.5)
    axes.set(xscale="log", yscale="log", xlabel=r"$1/\sigma_W$", ylabel=r"$T = \alpha/|B|$", title=TITLES[name])
    axes.set(xlim=_edges(across[columns])[[0, -1]], ylim=_edges(up[rows])[[0, -1]])
    return axes


def _edges(centers: np.ndarray) -> np.ndarray:
    """Return the edges of cells, halfway between the logarithms of their centers."""
    logs = np.log(centers)
    half = np.diff(logs) / 2 if len(logs) > 1 else np.array([0.5])
    return np.asarray(
        np.exp(np.concatenate([[logs[0] - half[0]], logs[:-1] + half[: len(logs) - 1], [logs[-1] + half[-1]]]))
    )
