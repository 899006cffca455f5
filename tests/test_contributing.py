"""The steps that CONTRIBUTING.md gives for a law, a model and a process, done in a copy of the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^   ```python\n(.*?)^   ```$", re.MULTILINE | re.DOTALL)
EXPORTS = {
    "laws/__init__.py": "from .brody_spacing import BrodySpacing as BrodySpacing",
    "models/__init__.py": "from .decay import Decay as Decay",
    "processes/__init__.py": "from .independent import IndependentLevels as IndependentLevels",
    "__init__.py": "from .models import Decay as Decay\nfrom .processes import IndependentLevels as IndependentLevels",
}
LAW = """
import numpy as np
from scipy import stats
from math import gamma
from dysonsim.laws import BrodySpacing
law, exact = BrodySpacing(0.5, 0.4), stats.weibull_min(1.5, scale=0.4 / gamma(5 / 3))
q = np.array([1e-9, 0.1, 0.9, 1 - 1e-9])
np.testing.assert_allclose(law.ppf(q), exact.ppf(q), rtol=1e-7)
np.testing.assert_allclose(law.sf(20.0), exact.sf(20.0), rtol=1e-12)
assert abs(BrodySpacing.fit(law.rvs(10_000, random_state=1), q=0.5).scale - 0.4) < 4.5 * 0.4 / 100
"""


def written_files() -> dict[str, str]:
    """Text by path, of every block whose step names a file."""
    text, found = (ROOT / "CONTRIBUTING.md").read_text(), {}
    for match in BLOCK.finditer(text):
        step = re.split(r"^\d\. ", text[: match.start()], flags=re.MULTILINE)[-1]
        named = re.findall(r"`((?:dysonsim|tests)/[\w/]+\.py)`", step)
        if named:
            found[named[-1]] = textwrap.dedent(match[1])
    return found


def test_blocks_are_python():
    assert {path.split("/")[1] for path in written_files()} == {"laws", "kernels", "models", "processes"}
    for path, text in written_files().items():
        compile(text, path, "exec")


@pytest.mark.slow
def test_steps(tmp_path):
    for folder in ("dysonsim", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    files = written_files()
    for path, text in files.items():
        assert not (tmp_path / path).exists(), f"{path} is there already: choose another example"
        (tmp_path / path).write_text(text)
    for path, lines in EXPORTS.items():
        with (tmp_path / "dysonsim" / path).open("a") as file:
            file.write(f"\n{lines}\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "DYSONSIM_CACHE_DIR": str(tmp_path / "cache")}
    new_tests = [path for path in files if path.startswith("tests/")]
    tests = ["-m", "pytest", "-q", "-n", "0"]
    layers = ["tests/test_layers.py", "-k", "lead_down or circle or each_other"]
    for command in (["-c", LAW], [*tests, *new_tests], [*tests, *layers]):
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
