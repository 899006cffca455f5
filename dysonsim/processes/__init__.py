"""Processes: how weights or levels move. Frozen, validated parameters; `dysonsim.simulate` runs them."""

from .base import NetworkProcess, Process
from .dyson import Dyson
from .sgd import SGD

__all__ = ["SGD", "Dyson", "NetworkProcess", "Process"]
