"""Helpers are built once for the lanes of a target, however many kernels use them, and so compiled once a process."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


def once(build: Callable[..., Any]) -> Callable[..., Any]:
    """`build(lanes, *arguments)`, which returns what it made of the same lanes and arguments before."""

    @wraps(build)
    def built(lanes, *arguments):
        owner, made = vars(lanes).setdefault("made", (lanes, {}))
        if owner is not lanes:  # lanes with more or other functions were made of its own by `vars`
            lanes.made = (lanes, made := {})
        key = build, arguments
        if key not in made:
            made[key] = build(lanes, *arguments)
        return made[key]

    return built
