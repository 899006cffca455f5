"""The networks: what is learned, and what theory predicts for its eigenvalues. One network a file."""

from .base import Model
from .deep.network import DeepLinearNetwork
from .linear.linear_network import LinearNetwork
from .linear.teacher_student import TeacherStudent
from .neural.neural_network import NeuralNetwork
from .rbm.gaussian_rbm import GaussianRBM

__all__ = ["DeepLinearNetwork", "GaussianRBM", "LinearNetwork", "Model", "NeuralNetwork", "TeacherStudent"]
