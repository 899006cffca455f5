"""Kernels against the slow reference, fed with the kernels' own random numbers: the same weights to 1e-12."""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference
from kernel_draws import kernel_chi_squared, kernel_normals

import dysonsim as ds
from dysonsim.backend import driver
from dysonsim.kernels.common import rng

SEED, REPLICAS, STEPS = 2**40 + 17, 11, 4


def trained(model, learning_rate, batch, dtype="float64", steps=STEPS):
    """Start and end weights of an ensemble as `simulate` trains it."""
    sgd = ds.SGD(model, learning_rate, batch, init_scale=min(0.3, 0.9 / math.sqrt(model.n)))
    run = ds.simulate(sgd, REPLICAS, steps, SEED, record_steps=[0, steps], keep_weights=True, dtype=dtype)
    return run.weights[:, 0].copy(), run.weights[:, 1], run


def normals(shape, stream, step):
    count = math.prod(shape)
    return kernel_normals(count, stream, step, REPLICAS, SEED).reshape(REPLICAS, *shape)


def ring(n, n_hidden=None, **options):
    return ds.GaussianRBM.scalar_field(n, mass=1.5, mu=2.8, sigma=0.9, n_hidden=n_hidden, **options)


# Sizes: even, odd, wide, tall, a batch of one, batches that are no multiple of the chunks, single and many Gibbs steps.
RBM = [
    (ring(4, gibbs_steps=1), 8),
    pytest.param(*(ring(5, 3, gibbs_steps=3), 7), marks=pytest.mark.slow),
    pytest.param(*(ring(3, 6, gibbs_steps=6), 1), marks=pytest.mark.slow),
    (ring(10, gibbs_steps=13), 16),
    (ring(4, 3, gibbs_steps=2, sampling="step_by_step"), 6),
    pytest.param(*(ring(3, 5, gibbs_steps=3, sampling="step_by_step"), 5), marks=pytest.mark.slow),
    (ring(5, 4, gibbs_steps=math.inf), 7),
    (ring(27, 25, gibbs_steps=2), 5),  # tiles of four rows, and what is left of them
    pytest.param(*(ring(27, 25, gibbs_steps=2, sampling="step_by_step"), 3), marks=pytest.mark.slow),
    (ring(4, 3, gibbs_steps=4, sampling="two_noises"), 7),
    pytest.param(*(ring(27, 25, gibbs_steps=1), 5), marks=pytest.mark.slow),
    pytest.param(*(ring(27, 25, gibbs_steps=3), 26), marks=pytest.mark.slow),
    (ring(97, 96, gibbs_steps=2), 18),  # one network at a time, with BLAS
]


@pytest.mark.parametrize(("model", "batch"), RBM)
def test_rbm(model, batch):
    w, end, _ = trained(model, 0.1, batch)
    p, n = model.weight_shape
    kernel = model.kernel(0.1, batch)
    basis = np.eye(n) if kernel.basis is None else kernel.basis  # in which weights and chains are kept
    w, target, chains = w @ basis, basis.T @ model.target @ basis, np.ones((REPLICAS, batch, n)) @ basis
    sampling = kernel.sizes["sampling"]
    for s in range(STEPS):
        for r in range(REPLICAS):
            if model.gibbs_steps == math.inf:
                chains[r] = reference.fresh_chains(w[r], normals((batch, n), rng.CHAIN, s)[r], model.mu, model.sigma)
            elif sampling == "at_once":
                z = normals((batch, n), rng.CHAIN, s)[r]
                chains[r] = reference.at_once_chains(w[r], chains[r], z, model.mu, model.sigma, model.gibbs_steps)
            elif sampling == "two_noises":
                z = [normals((batch, n), rng.CHAIN + more, s)[r] for more in (0, rng.STRIDE)]
                chains[r] = reference.two_noises_chains(w[r], chains[r], z, model.mu, model.sigma, model.gibbs_steps)
            else:
                zh = [normals((batch, p), rng.HIDDEN + rng.STRIDE * g, s)[r] for g in range(model.gibbs_steps)]
                zv = [normals((batch, n), rng.VISIBLE + rng.STRIDE * g, s)[r] for g in range(model.gibbs_steps)]
                chains[r] = reference.gibbs_chains(w[r], chains[r], zh, zv, model.mu, model.sigma)
            w[r] = reference.rbm_update(w[r], chains[r], target, model.sigma, 0.1)
    np.testing.assert_allclose(end @ basis, w, rtol=1e-12, atol=1e-13)


def bartlett(batch, p, n, q, t):
    """Samples (replicas, min(n, batch), n) and labels with the C and the H that the kernel draws at once, / batch.

    And the normals of the gradient noise.
    """
    kicks = n * (n + 1) // 2 if p == n else n * p
    z = kernel_normals(n * (n - 1) // 2 + q * n + kicks, rng.DATA, t, REPLICAS, SEED)
    below, labels, kicks = np.split(z, [n * (n - 1) // 2, n * (n - 1) // 2 + q * n], axis=1)
    factor = np.zeros((REPLICAS, n, n))
    factor[:, *np.tril_indices(n, -1)] = below
    rows = min(n, batch)
    for i in range(0, rows, 2):
        alone = i + 1 == rows or batch - i == 2
        for rows_at in [[i], [i + 1]] if alone else [[i, i + 1]]:
            if rows_at[0] < rows:
                degrees = [batch - row for row in rows_at]
                squares = kernel_chi_squared(degrees, rows_at[0], rng.LENGTHS, t, REPLICAS, SEED)
                factor[:, rows_at, rows_at] = np.sqrt(squares)
    scale = math.sqrt(rows / batch)  # the reference divides by the number of samples that it is given
    labels = labels.reshape(REPLICAS, q, n)
    return scale * factor.swapaxes(1, 2)[:, :rows], scale * labels.swapaxes(1, 2)[:, :rows], kicks


LINEAR = [
    (name, batch, size, sampling)
    for sampling in ("at_once", "sample_by_sample")
    for name in reference.LINEAR
    for batch, size in ((6, None), (1, None), (5, 15))
]


@pytest.mark.parametrize(("name", "batch", "size", "sampling"), LINEAR)
def test_linear(name, batch, size, sampling):
    model = reference.LINEAR[name]
    fields = {field: getattr(model, field) for field in model.__dataclass_fields__}
    model = type(model)(**(fields | {"dataset_size": size, "sampling": sampling}))
    w, end, _ = trained(model, 0.05, batch, steps=STEPS)
    p, n = model.weight_shape
    layer = model.layer
    for s in range(STEPS):
        t = s if size is None else s % (size // batch)
        if sampling == "at_once":
            x, eta, drawn = bartlett(batch, p, n, len(layer), t)
        else:
            x = normals((batch, n), rng.DATA, t)
            eta = normals((batch, len(layer)), rng.LABEL_NOISE, t)
            drawn = normals((p * n if p != n else n * (n + 1) // 2,), rng.GRADIENT_NOISE, t)
        for r in range(REPLICAS):
            if p == n:  # the kernel fills the upper triangle by rows, the reference reads the lower one
                square = np.zeros((n, n))
                square[np.triu_indices(n)] = drawn[r]
                noise = reference.gradient_matrix(square.T)
            else:
                noise = drawn[r].reshape(p, n)
            noise = noise * model.gradient_noise / math.sqrt(batch)
            labels = model.label_noise * eta[r]
            w[r] = reference.linear_update(w[r], model.teacher, layer, x[r], labels, noise, 0.05)
    np.testing.assert_allclose(end, w, rtol=1e-12, atol=1e-13)


def large_linear(p, n, q):
    random = np.random.default_rng(5)
    teacher, layer = random.normal(size=(p, n)), random.normal(size=(q, p)) / math.sqrt(p)
    return ds.LinearNetwork(teacher, layer, 0.3, 0.2), ds.TeacherStudent(teacher, 0.3, 0.2)


SQUARE, TALL = large_linear(66, 66, 3), large_linear(70, 65, 70)
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "model", [SQUARE[0], TALL[1], pytest.param(SQUARE[1], marks=SLOW), pytest.param(TALL[0], marks=SLOW)]
)
def test_a_large_linear_network_by_itself_is_the_same_network(model):
    """One at a time, with BLAS, and side by side in lanes: two texts of one update, to rounding."""
    batch, start = 5, np.random.default_rng(6).normal(size=(3, math.prod(model.weight_shape)))
    ends = []
    for kernel in (model.large_kernel(0.02, batch), model.kernel(0.02, batch)):
        ensemble = driver("cpu").prepare(kernel, "float64").open(start, 7, SEED)
        ensemble.advance(3, 4)
        ends.append(ensemble.state())
    np.testing.assert_allclose(ends[0], ends[1], rtol=0, atol=1e-12)
    assert np.abs(ends[0] - start).max() > 0.01


def test_large_networks_are_the_same_on_any_number_of_threads_and_say_who_diverged():
    model = ring(97, 96, gibbs_steps=1)
    sgd = ds.SGD(model, 0.02, 4)
    runs = [ds.simulate(sgd, 5, 6, SEED, threads=threads, dtype="float32", keep_weights=True) for threads in (1, 3)]
    np.testing.assert_array_equal(runs[0].state, runs[1].state)
    later = ds.simulate(sgd, 5, 12, SEED, dtype="float32", keep_weights=True, resume=runs[0])
    once = ds.simulate(sgd, 5, 12, SEED, dtype="float32", keep_weights=True)
    np.testing.assert_array_equal(later.state, once.state)
    with pytest.warns(RuntimeWarning), pytest.raises(ds.DivergenceError, match="replica"):
        ds.simulate(ds.SGD(model, 20.0, 4), 3, 50, SEED)


def test_a_wrong_sign_is_seen():
    """The control of this file: the reference with the update reversed is far from the kernel."""
    model = ring(4, gibbs_steps=1)
    w, end, _ = trained(model, 0.1, 8, steps=1)
    z = normals((8, 4), rng.CHAIN, 0)
    start = np.ones((8, 4))
    wrong = [
        reference.rbm_update(a, reference.at_once_chains(a, start, b, 2.8, 0.9, 1), model.target, 0.9, -0.1)
        for a, b in zip(w, z, strict=True)
    ]
    assert np.abs(end - wrong).max() > 1e-3


@pytest.mark.parametrize(
    "model",
    [
        ring(4, gibbs_steps=3),
        reference.LINEAR["wide"],
        *(pytest.param(RBM[i][0], marks=SLOW) for i in (4, 6)),
    ],
)
def test_float32_is_float64_rounded(model):
    _, double, _ = trained(model, 0.05, 7)
    _, single, run = trained(model, 0.05, 7, "float32")
    assert run.state.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=0, atol=2e-5)
    assert np.abs(single - double).max() > 0


def test_initial_weights_are_standard_normals_of_the_initial_stream():
    drawn = kernel_normals(16, rng.INITIAL, 0, REPLICAS, SEED).reshape(REPLICAS, 4, 4)
    for batch in (8, 1):  # the small batch is trained in another basis
        w, _, run = trained(ring(4, gibbs_steps=1), 0.1, batch)
        np.testing.assert_allclose(w, 0.3 * drawn, rtol=2e-6, atol=1e-6)
        assert run.state.shape == (REPLICAS, 16 + batch * 4)
    assert not np.allclose(run.state[:, :16], run.weights[:, -1].reshape(REPLICAS, 16), atol=0.01)


@pytest.mark.parametrize(
    "model",
    [
        *(ring(4, 4, gibbs_steps=k, sampling="at_once") for k in (1, 2)),
        *(ring(4, 3, gibbs_steps=k, sampling=way) for k in (1, 2) for way in ("two_noises", "step_by_step")),
        RBM[6][0],
        *reference.LINEAR.values(),
    ],
)
def test_a_network_takes_nothing_from_its_working_space(model):
    """Another one, which may have diverged, has left it there."""
    sgd, ends = ds.SGD(model, 0.1, 5), []
    for left in (0.0, math.nan):
        ensemble = sgd.prepare("cpu", "float64", 1).open(sgd.start(3, SEED), 0, SEED)
        with ensemble.scratch.one() as space:
            space[:] = left
        ensemble.advance(0, 2)
        ends.append(ensemble.state())
    np.testing.assert_array_equal(*ends)
    assert np.isfinite(ends[0]).all()


@pytest.mark.parametrize(
    ("n", "batch", "k", "sampling"), [(10, 16, 3, "at_once"), (50, 16, 3, "two_noises"), (50, 4, 1, "step_by_step")]
)
def test_the_way_to_draw_chains_follows_the_sizes(n, batch, k, sampling):
    """What was measured to be fastest, benchmarks/README.md."""
    kernel = ds.GaussianRBM.scalar_field(n, 2.0, 3.0, gibbs_steps=k).kernel(0.1, batch)
    assert kernel.sizes["sampling"] == sampling
    assert kernel.sizes["diagonal"] == (n == 50)
