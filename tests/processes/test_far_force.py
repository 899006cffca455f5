"""Far forces of nested steps, which follow the levels of a model and the strengths that change with them."""

from types import SimpleNamespace

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.backend import driver
from dysonsim.backend import reference as plain
from dysonsim.backend.reference import ReferenceDriver
from dysonsim.kernels.dyson import far_force
from dysonsim.kernels.dyson import terms as dyson_terms
from dysonsim.processes.dyson import process as dyson

N, ALPHA = 40, 0.05
TEACHER = ds.SGD(ds.TeacherStudent(2 * np.eye(N), gradient_noise=0.02), ALPHA, 256)
RBM = ds.SGD(ds.GaussianRBM(np.diag(np.linspace(2.0, 6.0, N)), mu=3.0), ALPHA, 64)


def held_and_summed_anew(process, before, after, changes):
    """Far forces on levels `after`, held since they were `before`, and as they are there."""
    terms = process.terms
    lanes = plain.lanes("float64", 1)
    coefficients = dyson_terms.of_model(lanes, N, terms.build, nested=True, **terms.sizes)
    far = far_force.build(lanes, N, 10, SimpleNamespace(**vars(coefficients) | {"changes": changes}))
    work = np.zeros((coefficients.work, 1))
    coefficients.prepare(np.full(1, 1e-3), terms.reals, work)  # so short that levels do not spread in it
    results = []
    for levels in (before, after):
        held, out = np.zeros((far_force.space_of(N, changes), 1)), np.zeros((N, 1))
        far.gather(levels[:, None], held, 1.0, terms.reals, work)
        if not results:
            far.follow(out, after[:, None], held, terms.reals, work)
            results.append(out[:, 0].copy())
    out = np.zeros((N, 1))
    far.follow(out, after[:, None], held, terms.reals, work)
    return results[0], out[:, 0]


# Half a relaxation time, an outer step of the longest inner steps: a teacher's singular values are exp(-1/2) as far
# off as they were; an RBM's levels grow the faster the higher they can get.
@pytest.mark.parametrize(
    ("sgd", "before", "after", "within"),
    [
        (TEACHER, np.linspace(0.02, 0.6, N), 2 - np.exp(-0.5) * (2 - np.linspace(0.02, 0.6, N)), 0.01),
        (RBM, np.linspace(0.05, 2.0, N) ** 2, np.linspace(0.05, 2.0, N) ** 2 * np.linspace(1.3, 1.7, N), 0.15),
    ],
)
def test_far_forces_keep_up_with_strengths_that_change(sgd, before, after, within):
    process = ds.Dyson(sgd)
    ours, exact = held_and_summed_anew(process, before, after, True)
    size = np.sqrt((exact**2).mean())
    assert np.sqrt(((ours - exact) ** 2).mean()) < within * size
    ours, exact = held_and_summed_anew(process, before, after, False)  # the control: strengths as they were
    assert np.sqrt(((ours - exact) ** 2).mean()) > 2.5 * within * size


@pytest.mark.slow  # compiles for a quarter of a minute
def test_plain_python_gives_the_numbers_of_the_cpu(monkeypatch):
    """And nothing is written beside the working space."""
    monkeypatch.setattr(dyson, "DIRECT", 0)
    process = ds.Dyson(ds.SGD(ds.TeacherStudent(2 * np.eye(6), gradient_noise=0.02), ALPHA, 64, 0.3))
    assert process.nested
    assert not process.direct
    ends, start = [], process.start(9, 7)
    for device in (driver("cpu"), ReferenceDriver(width=4)):
        ensemble = device.prepare(process.kernel(), "float64").open(start, 5, 3)
        ensemble.advance(0, 1)
        ends.append(ensemble.state())
    np.testing.assert_allclose(ends[0], ends[1], rtol=0, atol=1e-5)
    assert np.abs(ends[0] - start).max() > 1e-3


def test_levels_that_grow_keep_their_gaps(monkeypatch):
    """Mean gaps in the middle, against all pairs in every inner step: by chance not so once in 400 seeds."""

    def gaps(batch_size, seed):
        sgd = ds.SGD(TEACHER.model, ALPHA, batch_size)
        run = ds.simulate(ds.Dyson(sgd), 600, times=np.array([1.0, 2.0, 4.0]) / ALPHA, seed=seed)
        assert run.process.direct == (dyson.DIRECT >= N)
        return ds.mean_and_error(np.diff(run.singular_values)[..., N // 4 : 3 * N // 4].mean(-1))

    def agree(a, b):
        return bool((abs(a[0] / b[0] - 1) < 0.005 + 3.5 * np.hypot(a[1], b[1]) / b[0]).all())

    ours, noisier = gaps(256, 1), gaps(200, 2)
    monkeypatch.setattr(dyson, "DIRECT", N)
    exact = gaps(256, 3)
    assert agree(ours, exact)
    assert not agree(noisier, exact)  # the control: gaps 4% wider
