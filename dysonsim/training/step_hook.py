"""The one global hook of torch that all watches share.

torch goes through its hooks while an optimizer makes a step. A hook that another thread adds or removes meanwhile ends
that step with an error, in a training that may not be watched at all. So the first watch adds one, the last takes it
away, and those between only change a tuple.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["called_after_steps"]

Listener = Callable[[Any, Any, Any], None]

_lock = threading.Lock()
_listeners: tuple[Listener, ...] = ()
_handle: Any = None


def called_after_steps(listener: Listener) -> Callable[[], None]:
    """Call ``listener(optimizer, args, kwargs)`` after every step of every optimizer; returns what ends that."""
    global _listeners, _handle
    from torch.optim.optimizer import register_optimizer_step_post_hook

    with _lock:
        _listeners = (*_listeners, listener)
        if _handle is None:
            _handle = register_optimizer_step_post_hook(_after_step)
    return lambda: _leave(listener)


def _after_step(optimizer: Any, args: Any, kwargs: Any) -> None:
    for listener in _listeners:
        listener(optimizer, args, kwargs)


def _leave(listener: Listener) -> None:
    global _listeners, _handle
    with _lock:
        _listeners = tuple(other for other in _listeners if other is not listener)
        if not _listeners and _handle is not None:
            _handle.remove()
            _handle = None
