"""The versions and the machine that made the numbers."""

from __future__ import annotations

import datetime
import hashlib
import platform
from pathlib import Path

from dysonsim.backend import usable_cores


def versions() -> dict[str, str]:
    """Return the versions of dysonsim and of the libraries that take part in the numbers."""
    import matplotlib
    import numba
    import numpy
    import scipy

    from dysonsim._version import __version__

    modules = (numba, numpy, scipy, matplotlib)
    return {
        "dysonsim": __version__,
        **{module.__name__: module.__version__ for module in modules},
        "python": platform.python_version(),
    }


def sources() -> str:
    """Return a hash of the sources of dysonsim."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def machine() -> dict[str, str | int]:
    """Return the processor, the number of cores that this process may use, and the operating system."""
    return {"processor": _processor(), "cores": usable_cores(), "system": f"{platform.system()} {platform.machine()}"}


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
