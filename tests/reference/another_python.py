"""Tests that need a process of their own: another Python, with the kernels' cache of these tests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux")


def python(program, *arguments, cwd=None, **environment):
    """What another Python prints; its kernels come from the cache of these tests."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), *map(str, arguments)]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=200, cwd=cwd, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def run_python(program, *arguments, **environment):
    """The finished process of another Python, which may import these tests."""
    tests = Path(__file__).parent.parent
    path = [
        *(str(tests / folder) for folder in ("backend", "kernels", "reference", "scans")),
        os.environ.get("PYTHONPATH"),
    ]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))} | environment
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)
