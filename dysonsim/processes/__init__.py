"""Processes: how weights or levels move. Frozen, validated parameters; `dysonsim.simulate` runs them."""

from .base import NetworkProcess, Process
from .dyson import Dyson
from .langevin import Langevin
from .sgd import SGD

__all__ = ["SGD", "Dyson", "Langevin", "NetworkProcess", "Process"]
