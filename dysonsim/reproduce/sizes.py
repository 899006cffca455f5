"""How much `reproduce` simulates: the papers' parameter points in full, a quick version, a tiny one for the tests."""

from __future__ import annotations

from dataclasses import dataclass

BATCH_SIZE = 16  # where the learning rate is varied
LEARNING_RATE = 0.1  # where the batch size is varied
NETWORK_RATE = 0.02  # of the networks with one hidden layer: alpha z^2 = 0.18 for the largest z
NETWORK_RATES = (0.01, NETWORK_RATE, 0.05)  # theirs at which the descriptions are compared


@dataclass(frozen=True)
class Size:
    """Parameter points and amount of statistics.

    Times count alpha x steps, so that all rates are those of the gradient flow.

    Attributes
    ----------
    name : str
    learning_rates : tuple of float
        Learning rates at |B| = 16, among them `spectrum_rate` and, for the extrapolation, three <= `trend_limit`.
    batch_sizes : tuple of int
        Batch sizes at alpha = 0.1, among them 16.
    spectrum_rate : float
        Learning rate at which all eigenvalues are shown one by one.
    trend_limit : float
        Largest learning rate of the extrapolation to alpha/|B| -> 0.
    rbm_replicas : int
        Networks of the RBM at every point.
    burn_in, duration, interval : float
        Of the RBM. The slowest mode grows at 2 (1/kappa - 1/mu^2) = 0.028 from an initial square that can be 1e-8
        among a thousand networks, and relaxes at 2 x / kappa^2 = 0.031; snapshots are taken every `interval`.
    linear_burn_in, linear_duration, linear_interval : float
        Of the linear networks, whose slowest rate is 1.
    teacher_replicas, path_replicas, density_replicas : int
        Networks of teacher-student, of the mean path and of the stationary densities.
    level_rates : tuple of float
        Learning rates, three or more of those at |B| = 16 and `spectrum_rate` among them, at which the
        descriptions are compared.
    level_replicas, linear_level_replicas : int
        Networks or gases of every description except SGD, for the RBM and for the linear networks.
    phase_stride, phase_updates, phase_replicas : int
        Of the phase diagram: every how many of its 12 x 12 points, updates, networks a point.
    units, unit_replicas : int
        Of the wide teacher-student whose long-range statistics are shown, and how many networks of it.
    resamples : int
        Draws for every p-value; 50 times as many where these do not resolve it.
    """

    name: str
    learning_rates: tuple[float, ...]
    batch_sizes: tuple[int, ...]
    spectrum_rate: float
    trend_limit: float
    rbm_replicas: int
    burn_in: float
    duration: float
    interval: float
    linear_burn_in: float
    linear_duration: float
    linear_interval: float
    teacher_replicas: int
    path_replicas: int
    density_replicas: int
    level_rates: tuple[float, ...]
    level_replicas: int
    linear_level_replicas: int
    phase_stride: int
    phase_updates: int
    phase_replicas: int
    units: int
    unit_replicas: int
    resamples: int

    def points(self) -> list[tuple[float, int]]:
        """Return every (learning rate, batch size) once: first those with alpha varied, then those with |B| varied."""
        scan = [(rate, BATCH_SIZE) for rate in self.learning_rates]
        return scan + [(LEARNING_RATE, batch) for batch in self.batch_sizes if (LEARNING_RATE, batch) not in scan]


FULL = Size(
    name="full",
    learning_rates=(0.01, 0.02, 0.04, 0.06, 0.08, 0.1),
    batch_sizes=(4, 8, 16, 32, 64),
    spectrum_rate=0.02,
    trend_limit=0.06,
    rbm_replicas=1536,
    burn_in=900,
    duration=1200,
    interval=50,
    linear_burn_in=15,
    linear_duration=60,
    linear_interval=5,
    teacher_replicas=4096,
    path_replicas=500,
    density_replicas=8192,
    level_rates=(0.02, 0.04, 0.1),
    level_replicas=1024,
    linear_level_replicas=4096,
    phase_stride=1,
    phase_updates=100_000,
    phase_replicas=8,
    units=64,
    unit_replicas=512,
    resamples=1999,
)

QUICK = Size(
    name="quick",
    learning_rates=(0.02, 0.04, 0.06, 0.1),
    batch_sizes=(4, 16, 64),
    spectrum_rate=0.02,
    trend_limit=0.06,
    rbm_replicas=256,
    burn_in=500,
    duration=700,
    interval=50,
    linear_burn_in=15,
    linear_duration=60,
    linear_interval=5,
    teacher_replicas=1024,
    path_replicas=500,
    density_replicas=2048,
    level_rates=(0.02, 0.04, 0.1),
    level_replicas=256,
    linear_level_replicas=1024,
    phase_stride=2,
    phase_updates=20_000,
    phase_replicas=8,
    units=64,
    unit_replicas=96,
    resamples=1999,
)

TINY = Size(
    name="tiny",
    learning_rates=(0.06, 0.08, 0.1),
    batch_sizes=(8, 16),
    spectrum_rate=0.08,
    trend_limit=0.1,
    rbm_replicas=24,
    burn_in=500,
    duration=600,
    interval=50,
    linear_burn_in=10,
    linear_duration=20,
    linear_interval=5,
    teacher_replicas=48,
    path_replicas=32,
    density_replicas=256,
    level_rates=(0.06, 0.08, 0.1),
    level_replicas=24,
    linear_level_replicas=64,
    phase_stride=4,
    phase_updates=500,
    phase_replicas=8,
    units=12,
    unit_replicas=32,
    resamples=99,
)

SIZES = {size.name: size for size in (FULL, QUICK, TINY)}
