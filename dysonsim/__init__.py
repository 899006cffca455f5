"""Train networks, watch their spectra move, and compare them with random matrix theory.

>>> import dysonsim as ds
>>> model = ds.GaussianRBM.scalar_field(n_visible=10, mass=2.0, mu=3.0)
>>> run = ds.simulate(ds.SGD(model, learning_rate=0.1, batch_size=16), replicas=1024, steps=2000, seed=1)
>>> print(ds.compare(run.spacings((1, 2)), ds.laws.WignerSurmise))
"""

from __future__ import annotations

from . import _moved, laws
from ._version import __version__ as __version__
from .comparison.compare import Comparison, compare
from .comparison.likelihood import likelihood_ratio
from .comparison.scaling import ScalingFit, scaling_fit
from .descriptions.hierarchy import Hierarchy, hierarchy
from .ensembles.observable import Observable
from .ensembles.run import Run, mean_and_error, singular_values
from .ensembles.simulate import DivergenceError, memory_needed, simulate
from .inference.estimate import Dynamics, estimate_dynamics
from .models import GaussianRBM, LinearNetwork, Model, TeacherStudent
from .numerics import diagnostics
from .numerics.repulsion import repulsion
from .processes import SGD, CoulombGas, Dyson, JacobiProcess, LaguerreProcess, Langevin, MixingError, Process
from .scans.result import Scan
from .scans.scan import scan

_moved.install()

__all__ = [
    "SGD",
    "Comparison",
    "CoulombGas",
    "DivergenceError",
    "Dynamics",
    "Dyson",
    "GaussianRBM",
    "Hierarchy",
    "JacobiProcess",
    "LaguerreProcess",
    "Langevin",
    "LinearNetwork",
    "MixingError",
    "Model",
    "Observable",
    "Process",
    "Run",
    "ScalingFit",
    "Scan",
    "TeacherStudent",
    "compare",
    "diagnostics",
    "estimate_dynamics",
    "hierarchy",
    "laws",
    "likelihood_ratio",
    "mean_and_error",
    "memory_needed",
    "repulsion",
    "scaling_fit",
    "scan",
    "simulate",
    "singular_values",
]
