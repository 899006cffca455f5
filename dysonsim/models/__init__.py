"""The networks: what is learnt, and what theory predicts for its eigenvalues. One network a file."""

from .base import Model
from .gaussian_rbm import GaussianRBM
from .linear_network import LinearNetwork
from .teacher_student import TeacherStudent

__all__ = ["GaussianRBM", "LinearNetwork", "Model", "TeacherStudent"]
