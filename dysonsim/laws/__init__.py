"""Closed-form laws that spectra are compared with.

This package imports nothing else of dysonsim but the checks of arguments.

Examples
--------
>>> import dysonsim as ds
>>> gaps = ds.laws.WignerSurmise(beta=2, scale=0.1).rvs(1000, random_state=1)
>>> fitted = ds.laws.WignerSurmise.fit(gaps, beta=2)
>>> round(fitted.scale, 2)
0.1
"""

import warnings
from typing import Any

from .base import Law
from .bulk_spacing import BulkSpacing
from .form_factor import FormFactor
from .fuss_catalan import FussCatalan
from .gas_density import gas_log_density, gas_log_normalization
from .gaussian_ensemble import GaussianEnsembleDensity
from .marchenko_pastur import MarchenkoPastur, MarchenkoPasturSingular
from .noisy import NoisyMatrix, NoisySymmetric
from .normal import Normal
from .number_variance import NumberVariance
from .poisson_spacing import PoissonSpacing
from .porter_thomas import PorterThomas
from .rigidity import Rigidity
from .semicircle import Semicircle
from .smallest_singular import SmallestSingularValue
from .spacing_ratio import SpacingRatio, UnfoldedSpacingRatio
from .surmise import WignerSurmise
from .tracy_widom import TracyWidom
from .two_by_two import SymmetricTwoByTwo
from .two_level import TwoLevel
from .two_species import TwoSpecies

__all__ = [
    "BulkSpacing",
    "FormFactor",
    "FussCatalan",
    "GaussianEnsembleDensity",
    "Law",
    "MarchenkoPastur",
    "MarchenkoPasturSingular",
    "NoisyMatrix",
    "NoisySymmetric",
    "Normal",
    "NumberVariance",
    "PoissonSpacing",
    "PorterThomas",
    "Rigidity",
    "Semicircle",
    "SmallestSingularValue",
    "SpacingRatio",
    "SymmetricTwoByTwo",
    "TracyWidom",
    "TwoLevel",
    "TwoSpecies",
    "UnfoldedSpacingRatio",
    "WignerSurmise",
    "gas_log_density",
    "gas_log_normalization",
]


def __getattr__(name: str) -> Any:
    if name != "gas_log_normalisation":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        "laws.gas_log_normalisation is now laws.gas_log_normalization; the old name goes with the next release",
        DeprecationWarning,
        stacklevel=2,
    )
    return gas_log_normalization
