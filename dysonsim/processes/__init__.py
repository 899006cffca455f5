"""Processes: how weights or levels move. Frozen, validated parameters; `dysonsim.simulate` runs them."""

from .adam import Adam
from .base import NetworkProcess, Process
from .circular import CircularProcess
from .dyson.process import Dyson
from .gas.process import CoulombGas, GasDiagnostics, MixingError
from .jacobi import JacobiProcess
from .laguerre import LaguerreProcess
from .langevin import Langevin
from .sgd import SGD
from .stationary.result import Stationary
from .stationary.stationary import stationary

__all__ = [
    "SGD",
    "Adam",
    "CircularProcess",
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
