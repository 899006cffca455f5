"""What theory says of SGD with momentum and weight decay, and of Adam.

Ratios are z-scores of means over independent networks; false-alarm rates in comments, with a negative control each.
"""

from __future__ import annotations

import numpy as np
import pytest
from own_models import MODELS as OWN

import dysonsim as ds

PAIR = ds.TeacherStudent(2 * np.eye(2), label_noise=0.5)


def heavy_ball(alpha, z, m, c):
    """Stationary variance for curvature 1 and label noise z = sigma^2/|B|; c = 1 + (N + 1)/|B|."""
    return alpha * z / (2 * (1 - m) + alpha * (2 * m / (1 + m) - c))


def nesterov(a, z, m, c):
    below = 2 - 2 * m**2 - a * (c * m + c - 4 * m**2 - 2 * m) - a**2 * (2 * c * m**2 + c * m)
    return a * z * (2 * a * m**2 + a * m + m + 1) / below


@pytest.mark.parametrize(("alpha", "batch", "m"), [(0.05, 4, 0.5), (0.1, 16, 0.9), (0.3, 2, 0.3)])
def test_variances_are_the_closed_forms(alpha, batch, m):
    z, c = PAIR.label_noise**2 / batch, 1 + 3 / batch
    for formula, ahead in ((heavy_ball, False), (nesterov, True)):
        sgd = ds.SGD(PAIR, alpha, batch, momentum=m, nesterov=ahead)
        variance = formula(alpha, z, m, c)
        np.testing.assert_allclose(sgd.singular_value_widths(), variance**0.5, rtol=1e-12)
        np.testing.assert_allclose(sgd.stationary_widths(), 4 * variance**0.5, rtol=1e-12)
        np.testing.assert_allclose(sgd.singular_value_spacings(), (np.pi * variance) ** 0.5, rtol=1e-12)
        limit = sgd.max_learning_rate()  # where the variance diverges
        assert formula(limit * (1 - 1e-9), z, m, c) > 1e6 * variance > 0
        assert formula(limit * (1 + 1e-9), z, m, c) < 0
    many = ds.SGD(PAIR, alpha, 10**9, momentum=m)
    assert many.max_learning_rate() == pytest.approx(2 * (1 + m), rel=1e-6)
    double = ds.LinearNetwork(2 * np.eye(2), np.sqrt(2) * np.eye(2), label_noise=0.5)  # curvature 2
    assert ds.SGD(double, 0.1, 10**9, momentum=m).max_learning_rate() == pytest.approx(1 + m, rel=1e-6)
    with pytest.raises(ValueError, match="above the limit"):
        ds.SGD(PAIR, 1.01 * sgd.max_learning_rate(), batch, momentum=m, nesterov=True).stationary_widths()


def moments_by_iteration(model, alpha, batch, given, rates=None, rounds=4000):
    """Second moments of (W, v) step by step, from E[C_ki C_lj] for Gaussian inputs; rates: of entries, for Adam."""
    (p, n), size = model.weight_shape, model.teacher.size
    m, decay = given.get("momentum", given.get("beta1", 0.0)), given.get("weight_decay", 0.0)
    hessian = model.hessian + decay * np.eye(p)
    missing = np.linalg.solve(hessian, decay * model.teacher)  # teacher - mean
    curvature = np.kron(hessian, np.eye(n))
    rates = np.full(size, alpha) if rates is None else rates
    ahead = (1 + m, m * m) if given.get("nesterov") else (1.0, m)
    one = np.block(
        [
            [np.eye(size) - ahead[0] * rates[:, None] * curvature, -ahead[1] * np.diag(rates)],
            [curvature, m * np.eye(size)],
        ]
    )
    into = np.vstack([-ahead[0] * np.diag(rates), np.eye(size)])

    def data(second):
        """Covariance of P X (C - 1), with E[X_ai X_bj] = second."""
        kept = np.einsum("aibi,jk->ajbk", second, np.eye(n)) + np.einsum("aibj->ajbi", second)
        return np.einsum("ca,aibj,db->cidj", model.hessian, kept, model.hessian).reshape(size, size) / batch

    noise = model.label_noise**2 / batch * np.kron(model.hessian, np.eye(n))
    noise = noise + model.gradient_noise**2 / batch * np.eye(size)
    if p == n:
        swap = np.einsum("aj,bi->aibj", np.eye(n), np.eye(n)).reshape(size, size)
        noise = noise + model.gradient_noise**2 / batch * swap
    noise = noise + data(np.einsum("ai,bj->aibj", missing, missing))
    second = np.zeros((2 * size, 2 * size))
    for _ in range(rounds):
        total = noise + data(second[:size, :size].reshape(p, n, p, n))
        second = one @ second @ one.T + into @ total @ into.T
    squares = np.diag(total + curvature @ second[:size, :size] @ curvature.T)
    return second[:size, :size].reshape(p, n, p, n), squares


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("given", [{"momentum": 0.6, "nesterov": True, "weight_decay": 0.3}, {"weight_decay": 0.2}])
def test_covariances_are_those_of_the_moments_of_a_step(given, square):
    teacher = [[1.0, 0.4], [0.0, 2.0]] if square else [[1.0, 0.0, 0.5], [0.2, 1.5, 0.0]]
    model = ds.LinearNetwork(teacher, [[1.0, 0.5], [0.0, 0.7]], gradient_noise=0.2, label_noise=0.3)
    expected, _ = moments_by_iteration(model, 0.2, 5, given)
    sgd = ds.SGD(model, 0.2, 5, **given)
    np.testing.assert_allclose(sgd.weight_covariance(), expected, rtol=1e-9, atol=1e-12)
    plain = ds.SGD(model, 0.2, 5).weight_covariance()
    assert np.abs(plain / expected - 1).max() > 0.05
    # the mean is that of the decay, whose singular values are the fixed point
    decay = given["weight_decay"] * np.eye(2)
    mean = np.linalg.solve(model.hessian + decay, model.hessian @ model.teacher)
    values = np.sort(np.linalg.svd(mean, compute_uv=False))
    np.testing.assert_allclose(sgd.fixed_point()[-2:], values**2, rtol=1e-12)


def test_covariances_of_adam_are_those_at_its_own_rates():
    model = ds.LinearNetwork([[1.0, 0.4], [0.0, 2.0]], np.diag([1.0, 0.7]), gradient_noise=0.2, label_noise=0.3)
    adam = ds.Adam(model, 0.02, 5, beta1=0.8, weight_decay=0.1)
    squares = np.full(4, 0.01)
    for _ in range(30):
        rates = 0.02 * (1 - adam.beta1) / (np.sqrt(squares) + adam.eps)
        expected, squares = moments_by_iteration(model, 0.02, 5, {"beta1": 0.8, "weight_decay": 0.1}, rates, 500)
    np.testing.assert_allclose(adam.weight_covariance(), expected, rtol=1e-8, atol=1e-12)


def stationary(process, relaxation, way=0, networks=3000, records=20, keep=True):
    """Weights and levels of the stationary state, (networks, records, ...); way: further steps towards it."""
    first, apart = int(10 * relaxation + way), max(1, int(2 * relaxation))
    steps = first + apart * np.arange(records)
    return ds.simulate(process, networks, steps[-1], seed=11, record_steps=steps, keep_weights=keep)


def z_score(samples, predicted):
    """Of a mean over networks (the first axis) against a prediction."""
    means = samples.reshape(len(samples), -1).mean(axis=1)
    return (means.mean() - predicted) / (means.std(ddof=1) / len(means) ** 0.5)


CASES = [(0.05, 4, 0.9), (0.1, 4, 0.5), (0.1, 16, 0.9), (0.05, 16, 0.5)]


@pytest.mark.parametrize("ahead", [False, True])
def test_measured_variances_are_exact(ahead):
    """Error .15%: |z| < 4 has a false-alarm rate of 5e-4 for the eight."""
    for alpha, batch, m in CASES:
        sgd = ds.SGD(PAIR, alpha, batch, momentum=m, nesterov=ahead)
        run = stationary(sgd, (1 - m) / alpha + 1 / (1 - m))
        variance = sgd.weight_covariance()[0, 0, 0, 0]
        squares = (run.weights - PAIR.teacher) ** 2
        assert abs(z_score(squares, variance)) < 4, (alpha, batch, m)
        # controls: alpha in place of alpha/(1 - m), and the leading order
        assert abs(z_score(squares, ds.SGD(PAIR, alpha, batch).weight_covariance()[0, 0, 0, 0])) > 50
        leading = alpha * PAIR.label_noise**2 / (2 * batch * (1 - m))
        if abs(leading / variance - 1) > 0.02:
            assert abs(z_score(squares, leading)) > 6
    # error .25%; the spacing is that of Gaussian weights, which they are up to 1%
    assert np.diff(run.singular_values).mean() / sgd.singular_value_spacings()[0] == pytest.approx(1, abs=0.02)


def test_measured_mean_and_widths_with_weight_decay():
    model = ds.TeacherStudent(np.diag([1.0, 3.0]), label_noise=0.5)
    sgd = ds.SGD(model, 0.1, 4, momentum=0.5, weight_decay=0.2)
    run = stationary(sgd, 10)
    mean = model.teacher / 1.2
    np.testing.assert_allclose(sgd.fixed_point(), np.diag(mean) ** 2, rtol=1e-12)
    covariance = sgd.weight_covariance()
    without = ds.SGD(model, 0.1, 4, momentum=0.5).weight_covariance()
    for i in range(2):
        for j in range(2):  # eight: false alarm 5e-4
            moved = run.weights[:, :, i, j] - mean[i, j]
            assert abs(z_score(moved, 0.0)) < 4
            assert abs(z_score(moved**2, covariance[i, j, i, j])) < 4
    # controls: no decay
    assert abs(z_score(moved**2, without[1, 1, 1, 1])) > 6
    assert abs(z_score(run.weights[:, :, 1, 1], 3.0)) > 50


def test_adam_has_the_square_root_rule():
    """d ln S/d ln |B| = -1/4, d ln S/d ln alpha = 1/2: errors .005 and .008, allowed .02 and .03 (4 sigma)."""
    spacing = {}
    for alpha, batch in ((0.00625, 4), (0.00625, 16), (0.00625, 64), (0.003125, 16), (0.0125, 16)):
        adam = ds.Adam(PAIR, alpha, batch, beta2=0.99)
        relaxation = (PAIR.label_noise**2 / batch) ** 0.5 / alpha
        run = stationary(adam, max(relaxation, 60), 3 / alpha, networks=400, records=30, keep=False)
        spacing[alpha, batch] = np.diff(run.singular_values).mean()
        assert abs(spacing[alpha, batch] / adam.singular_value_spacings()[0] - 1) < 0.03
    of_batch = np.polyfit(np.log([4, 16, 64]), np.log([spacing[0.00625, b] for b in (4, 16, 64)]), 1)[0]
    rates = (0.003125, 0.00625, 0.0125)
    of_rate = np.polyfit(np.log(rates), np.log([spacing[a, 16] for a in rates]), 1)[0]
    assert abs(of_batch + 0.253) < 0.02
    assert abs(of_rate - 0.497) < 0.03
    # control: the linear rule, S ~ (alpha/|B|)^(1/2), which SGD has
    sgd = [ds.SGD(PAIR, 0.00625, b).singular_value_spacings()[0] for b in (4, 64)]
    assert np.log(sgd[1] / sgd[0]) / np.log(16) == pytest.approx(-0.5, abs=0.01)
    assert abs(of_batch + 0.5) > 0.2


@pytest.mark.slow
def test_adam_at_its_defaults_is_within_two_percent_of_its_variance():
    for alpha, batch in ((0.00625, 4), (0.00625, 64), (0.0125, 16)):
        adam = ds.Adam(PAIR, alpha, batch)
        steps = 14_000 + 40 * np.arange(60)  # the squares of the gradients on the way are forgotten by then
        run = ds.simulate(adam, 1000, steps[-1], seed=3, record_steps=steps, keep_weights=True)
        measured = ((run.weights - PAIR.teacher) ** 2).mean()
        assert measured / adam.weight_covariance()[0, 0, 0, 0] == pytest.approx(1, abs=0.02)


@pytest.mark.slow
def test_momentum_of_an_rbm_is_a_larger_learning_rate():
    """To leading order, whatever the memory of the chains: within 2%, error .5%."""
    model = ds.GaussianRBM(np.diag([2.0, 3.5, 5.0]), mu=3.0)
    sgd = ds.SGD(model, 0.001, 16, momentum=0.9)
    steps = 14_000 + 900 * np.arange(30)
    run = ds.simulate(sgd, 1000, steps[-1], seed=3, record_steps=steps)
    plain = ds.simulate(sgd.effective(), 1000, steps[-1], seed=4, record_steps=steps)
    ratio = run.eigenvalues.std(axis=(0, 1)) / plain.eigenvalues.std(axis=(0, 1))
    np.testing.assert_allclose(ratio, 1, atol=0.02)
    np.testing.assert_allclose(run.eigenvalues.std(axis=(0, 1)) / sgd.stationary_widths(), 1, atol=0.05)


def test_relaxation_with_momentum():
    """Means step by step, without noise: from rest, and the factor of a step in the long run."""
    model = ds.LinearNetwork(np.diag([1.0, 2.0]), np.diag([1.0, 2.0]))
    for given in ({"momentum": 0.5}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, {"weight_decay": 0.2}):
        sgd = ds.SGD(model, 0.05, 4, **given)
        m, decay, h = given.get("momentum", 0.0), given.get("weight_decay", 0.0), np.array([1.0, 4.0])
        w, v, mean = np.array([0.5, 3.0]), np.zeros(2), h / (h + decay) * [1.0, 2.0]
        path = [w]
        for _ in range(400):
            g = h * (w - [1.0, 2.0]) + decay * w
            v = m * v + g
            w = w - 0.05 * (g + m * v if given.get("nesterov") else v)
            path.append(w)
        found = sgd.relaxation([0, 1, 7, 60], [0.5, 3.0])
        np.testing.assert_allclose(found, np.array([path[t] for t in (0, 1, 7, 60)]) ** 2, rtol=1e-12)
        falls = (np.log(np.abs(path[100] - mean).max()) - np.log(np.abs(path[20] - mean).max())) / 80
        assert falls == pytest.approx(np.log(1 - sgd.relaxation_rates().min()), abs=0.02)
        assert sgd.relaxation_rates().shape == (2,)


def test_what_is_not_known_is_refused():
    heavy, adam = ds.SGD(PAIR, 0.1, 4, momentum=0.9), ds.Adam(PAIR, 0.01, 4)
    decay = ds.SGD(PAIR, 0.1, 4, weight_decay=0.1)
    levels = [1.0, 2.0]
    for process in (heavy, adam, decay):
        for ask in (lambda p: p.drift(levels), lambda p: p.noise(levels), ds.Dyson):
            with pytest.raises(NotImplementedError, match=r"training with (momentum = 0.9|Adam|weight_decay = 0.1)"):
                ask(process)
        assert ds.CoulombGas(process).widths == pytest.approx(process.stationary_widths())
    for process in (heavy, decay):
        with pytest.raises(NotImplementedError, match="must be plain SGD"):
            ds.Langevin(process)
    assert ds.Langevin(heavy.effective()).learning_rate == pytest.approx(1.0)
    with pytest.raises(NotImplementedError, match="max_learning_rate of training with Adam"):
        adam.max_learning_rate()
    with pytest.raises(NotImplementedError, match="diagonal"):
        ds.Adam(ds.LinearNetwork(2 * np.eye(2), [[1.0, 0.5], [0.0, 1.0]], 0.1), 0.01, 4).stationary_widths()
    rbm = ds.GaussianRBM(np.diag([2.0, 2.0, 4.0]), mu=3.0)
    with pytest.raises(NotImplementedError, match="fixed_point of training with weight_decay"):
        ds.SGD(rbm, 0.1, 4, weight_decay=0.1).fixed_point()
    with pytest.raises(NotImplementedError, match="mean_shift"):
        ds.SGD(rbm, 0.001, 4, momentum=0.9).mean_shift()
    np.testing.assert_array_equal(
        ds.SGD(rbm, 0.001, 4, momentum=0.75).stationary_widths(), rbm.stationary_widths(0.004, 4)
    )
    with pytest.raises(NotImplementedError, match="stationary_widths of training with momentum"):
        ds.SGD(OWN["decay"], 0.1, 4, momentum=0.5).stationary_widths()
    assert "momentum = 0.9" in heavy.why_left(1, np.zeros(4))
    assert "Adam" in adam.why_left(1, np.zeros(4))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # few networks and records
def test_hierarchy_leaves_out_what_there_is_not():
    for process, settle in ((ds.SGD(PAIR, 0.01, 4, momentum=0.9), None), (ds.Adam(PAIR, 0.02, 4, beta2=0.9), 400)):
        result = ds.hierarchy(process, replicas=64, settle=settle, records=2, path=0, resamples=99)
        assert list(result.runs) == ["sgd", "gas"]
        assert {"langevin", "dyson"} <= set(result.missing)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ds.SGD(PAIR, 0.1, 4, momentum=1.0), ValueError, "momentum = 1: must be .* >= 0 and < 1"),
        (lambda: ds.SGD(PAIR, 0.1, 4, momentum=-0.1), ValueError, "momentum"),
        (lambda: ds.SGD(PAIR, 0.1, 4, momentum="much"), TypeError, "momentum = 'much'"),
        (lambda: ds.SGD(PAIR, 0.1, 4, nesterov=True), ValueError, "nesterov = True: must be with momentum > 0"),
        (lambda: ds.SGD(PAIR, 0.1, 4, momentum=0.5, nesterov=1), TypeError, "nesterov = 1: must be True or False"),
        (lambda: ds.SGD(PAIR, 0.1, 4, weight_decay=-1e-3), ValueError, "weight_decay"),
        (lambda: ds.SGD(PAIR, 0.1, 4, weight_decay=float("nan")), ValueError, "weight_decay = nan"),
        (lambda: ds.SGD(PAIR, 0.1, 4, 0.1, 0.9), TypeError, "positional"),
        (lambda: ds.SGD(PAIR, 0.1, 4, weight_decay=0.1).effective(), ValueError, "weight_decay = 0.1: no plain SGD"),
        (lambda: ds.Adam(PAIR, 0.1, 4, beta1=1.0), ValueError, "beta1"),
        (lambda: ds.Adam(PAIR, 0.1, 4, beta2=1.0), ValueError, "beta2"),
        (lambda: ds.Adam(PAIR, 0.1, 4, eps=-1.0), ValueError, "eps"),
        (lambda: ds.Adam(PAIR, 0.0, 4), ValueError, "learning_rate"),
        (lambda: ds.Langevin(ds.Adam(PAIR, 0.1, 4)), NotImplementedError, "training with Adam .* must be plain SGD"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()
