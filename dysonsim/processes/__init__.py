"""Processes: how weights or levels move. Frozen, validated parameters; `dysonsim.simulate` runs them."""

from .base import NetworkProcess, Process
from .sgd import SGD

__all__ = ["SGD", "NetworkProcess", "Process"]
