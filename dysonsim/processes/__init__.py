"""Processes: how weights or levels move. Frozen, validated parameters; `dysonsim.simulate` runs them."""

from .adam import Adam
from .base import NetworkProcess, Process
from .dyson.process import Dyson
from .equilibrium.result import Stationary
from .equilibrium.stationary import stationary
from .gas.process import CoulombGas, GasDiagnostics, MixingError
from .jacobi import JacobiProcess
from .laguerre import LaguerreProcess
from .langevin import Langevin
from .sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "CoulombGas",
    "Dyson",
    "GasDiagnostics",
    "JacobiProcess",
    "LaguerreProcess",
    "Langevin",
    "MixingError",
    "NetworkProcess",
    "Process",
    "Stationary",
    "stationary",
]
