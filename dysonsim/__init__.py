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
from .ensembles.check import Check, check
from .ensembles.observable import Observable
from .ensembles.run import Run, mean_and_error, singular_values
from .ensembles.simulate import DivergenceError, memory_needed, simulate
from .inference.estimate import Dynamics, estimate_dynamics
from .models import DeepLinearNetwork, GaussianRBM, LinearNetwork, Model, TeacherStudent
from .numerics import diagnostics
from .numerics.repulsion import repulsion
from .processes import (
    SGD,
    Adam,
    CoulombGas,
    Dyson,
    JacobiProcess,
    LaguerreProcess,
    Langevin,
    MixingError,
    Process,
    Stationary,
    stationary,
)
from .scans.result import Scan
from .scans.scan import scan
from .spectra.balance import balancedness
from .training.examine import Examination, examine
from .training.fluctuations import Fluctuations, fluctuations
from .training.gradient_noise import GradientNoise, gradient_noise
from .training.reading import load_recording
from .training.recording import Recording
from .training.scaling_rule import ScalingRule, scaling_rule
from .training.spikes import Spikes, spikes
from .training.watch import watch
from .training.weights import Weights, read_weights

_moved.install()

__all__ = [
    "SGD",
    "Adam",
    "Check",
    "Comparison",
    "CoulombGas",
    "DeepLinearNetwork",
    "DivergenceError",
    "Dynamics",
    "Dyson",
    "Examination",
    "Fluctuations",
    "GaussianRBM",
    "GradientNoise",
    "Hierarchy",
    "JacobiProcess",
    "LaguerreProcess",
    "Langevin",
    "LinearNetwork",
    "MixingError",
    "Model",
    "Observable",
    "Process",
    "Recording",
    "Run",
    "ScalingFit",
    "ScalingRule",
    "Scan",
    "Spikes",
    "Stationary",
    "TeacherStudent",
    "Weights",
    "balancedness",
    "check",
    "compare",
    "diagnostics",
    "estimate_dynamics",
    "examine",
    "fluctuations",
    "gradient_noise",
    "hierarchy",
    "laws",
    "likelihood_ratio",
    "load_recording",
    "mean_and_error",
    "memory_needed",
    "read_weights",
    "repulsion",
    "scaling_fit",
    "scaling_rule",
    "scan",
    "simulate",
    "singular_values",
    "spikes",
    "stationary",
    "watch",
]
