"""The suite compiles at a lower level of optimization than users do: the numbers are the same, bit for bit."""

from __future__ import annotations

import pytest
from another_python import run_python

PROGRAM = """
    import hashlib, os, sys, warnings
    import numpy as np
    import dysonsim as ds
    from numba.core import config

    assert config.OPT == int(os.environ["NUMBA_OPT"])
    warnings.simplefilter("ignore")
    sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), 0.1, 4)
    gas = ds.CoulombGas.hermite(3, 2.0, method=sys.argv[1])
    for process, steps, dtype in ((sgd, 50, "float32"), (gas, 100, "float64")):
        run = ds.simulate(process, 9, steps, seed=3, dtype=dtype, progress=False)
        print(hashlib.sha256(run.spectra.tobytes()).hexdigest())
"""


@pytest.mark.parametrize("method", ["metropolis", pytest.param("hmc", marks=pytest.mark.slow)])
def test_the_numbers_do_not_depend_on_the_level_of_optimization(method):
    low, usual = (run_python(PROGRAM, method, NUMBA_OPT=level) for level in ("1", "3"))
    assert low.returncode == usual.returncode == 0, low.stderr + usual.stderr
    assert len(set(low.stdout.split())) == 2
    assert low.stdout == usual.stdout
