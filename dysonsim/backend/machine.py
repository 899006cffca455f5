"""What this process may use of the machine: cores, memory, Numba's compiler."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_memory", "jit_disabled", "usable_cores"]

NO_LIMIT = 2**60  # bytes; version 1 of control groups writes a number of this kind where there is none


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def jit_disabled() -> bool:
    """Whether Numba is told to compile nothing."""
    config = getattr(sys.modules.get("numba"), "config", None)
    if config is not None:
        return bool(config.DISABLE_JIT)
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


def available_memory() -> int:
    """Bytes that it may still take: of the machine, of its control groups, of its own limits.

    2**63 where nothing is known.
    """
    return max(0, min([2**63, *_of_machine(), *_of_control_groups(), *_of_address_space()]))


def _of_machine() -> Iterator[int]:
    """Read how much the operating system says is available without swapping."""
    found = _fields(Path("/proc/meminfo"), ":").get("MemAvailable")
    if found is not None:
        yield found * 1024
    elif "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        yield int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _of_control_groups(about: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """Read what control groups (versions 1 and 2) leave: a group's limit holds for all groups below it."""
    for line in _text(about).splitlines():
        _, controllers, path = line.split(":", 2) if line.count(":") >= 2 else ("", "-", "")
        if controllers == "":
            top, names = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = top / path.strip("/")
        # Within a container the path may be that of the machine, and what is mounted the container's own.
        for place in [group, *group.parents]:
            limit, used = _text(place / names[0]).strip(), _text(place / names[1]).strip()
            if limit.isdigit() and used.isdigit() and int(limit) < NO_LIMIT:
                yield int(limit) - int(used) + _fields(place / "memory.stat", "").get(names[2], 0)
            if place == top:
                break


def _of_address_space() -> Iterator[int]:
    """Read what `ulimit -v` and `ulimit -d` leave."""
    if sys.platform != "linux":
        return
    import resource

    sizes = _fields(Path("/proc/self/status"), ":")
    for limit, used in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        soft = resource.getrlimit(limit)[0]
        if soft != resource.RLIM_INFINITY and used in sizes:
            yield soft - sizes[used] * 1024


def _fields(path: Path, mark: str) -> dict[str, int]:
    """Of lines such as "MemFree:  123 kB" and "inactive_file 123"."""
    found = {}
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[1].isdigit():
            found[words[0].removesuffix(mark)] = int(words[1])
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
