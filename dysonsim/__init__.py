"""Train networks, watch their spectra move, and hold them against random matrix theory.

>>> import dysonsim as ds
>>> model = ds.GaussianRBM.scalar_field(n_visible=10, mass=2.0, mu=3.0)
>>> run = ds.simulate(ds.SGD(model, learning_rate=0.1, batch_size=16), replicas=1024, steps=2000, seed=1)
>>> print(ds.compare(run.spacings((1, 2)), ds.laws.WignerSurmise))
"""

from __future__ import annotations

__version__ = "0.1.0"

from . import diagnostics, laws
from .compare import Comparison, compare
from .hierarchy import Hierarchy, hierarchy
from .inference import Dynamics, estimate_dynamics
from .likelihood import likelihood_ratio
from .models import GaussianRBM, LinearNetwork, Model, TeacherStudent
from .processes import SGD, CoulombGas, Dyson, JacobiProcess, LaguerreProcess, Langevin, MixingError, Process
from .repulsion import repulsion
from .scaling import ScalingFit, scaling_fit
from .simulate import DivergenceError, memory_needed, simulate
from .spectra import Run, mean_and_error, singular_values

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
    "Process",
    "Run",
    "ScalingFit",
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
    "simulate",
    "singular_values",
]
