"""Shared by the tests: skips that show, and a place without a screen for figures."""

from __future__ import annotations

import os

# Kernels compile in two thirds of the time; test_optimization.py holds that they give the same numbers as by default.
os.environ.setdefault("NUMBA_OPT", "1")

import pytest


def pytest_collection_modifyitems(items):
    """Tests marked gpu run where there is a device, and are skipped in sight of the reader where there is none."""
    if not any("gpu" in item.keywords for item in items):
        return
    from dysonsim.backend.cuda.driver import SIMULATED, why_not

    reason = "the simulator is no GPU" if SIMULATED else why_not()
    for item in items:
        if "gpu" in item.keywords and reason:
            item.add_marker(pytest.mark.skip(reason=f"no CUDA device: {reason[:80]}"))


os.environ.setdefault("MPLBACKEND", "Agg")
