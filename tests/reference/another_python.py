"""Tests that need a process of their own: another Python, with the kernels' cache of these tests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

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
