"""Models of one's own, in matrix notation: each with operations that the others lack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erf, expit

import dysonsim as ds

SQUARE = np.array([[2.0, 0.3], [0.3, 1.0]])
WIDE = np.array([[2.0, 0.3, 1.0], [0.3, 1.0, 0.0]])


@dataclass(frozen=True)
class Decay(ds.Model):
    """Weight decay; the mean of x x^T drawn at once."""

    teacher: Any
    decay: float = 0.5
    gradient_noise: float = 0.2

    def update(self, W, noise, learning_rate, batch_size):
        C = noise.second_moment(W.shape[-1])
        A = noise.symmetric(W.shape) * (self.gradient_noise / batch_size**0.5)
        return W + learning_rate * ((self.teacher - W) @ C - self.decay * W + A)


@dataclass(frozen=True)
class TeacherStudent(ds.Model):
    """Sample by sample, as `ds.TeacherStudent` is."""

    teacher: Any
    gradient_noise: float = 0.2

    def update(self, W, noise, learning_rate, batch_size):
        X = noise.samples(W.shape[1])
        E = X @ (self.teacher - W).T
        A = noise.symmetric(W.shape) * (self.gradient_noise / batch_size**0.5)
        return W + learning_rate * (E.T @ X / batch_size + A)


@dataclass(frozen=True)
class Momentum(ds.Model):
    """A rectangular layer with momentum and decay, label noise, and the mean over the batch."""

    teacher: Any
    momentum: float = 0.9

    def memory(self):
        return {"V": np.zeros(self.teacher.shape)}

    def update(self, W, V, noise, learning_rate, batch_size):
        X = noise.samples(W.shape[1])
        E = X @ W.T - (X @ self.teacher.T + 0.1 * noise.label(W.shape[0]))
        V = self.momentum * V + E.T @ X / batch_size + 0.01 * W
        return W - learning_rate * V, V


@dataclass(frozen=True)
class Autoencoder(ds.Model):
    """Two layers, a nonlinear code; the weights have names of their own."""

    inputs: int = 4
    code: int = 2

    def weight_shapes(self):
        return {"encoder": (self.code, self.inputs), "decoder": (self.inputs, self.code)}

    def update(self, encoder, decoder, noise, learning_rate, batch_size):
        X = noise.samples(self.inputs) * np.linspace(1.0, 2.0, self.inputs)
        H = np.tanh(X @ encoder.T)
        E = H @ decoder.T - X
        G = (E @ decoder) * (1 - H**2)
        rate = learning_rate / batch_size
        return encoder - rate * G.T @ X, decoder - rate * E.T @ H


class Functions(ds.Model):
    """Every function of entries."""

    weight_shape = (3, 2)

    def update(self, W, noise, learning_rate, batch_size):
        Z = noise.normal(W.shape)
        A = np.exp(-abs(W)) + np.log(np.square(Z) + 1.0) / np.sqrt(1.0 + W**2)
        B = np.tanh(2.0 * W) - erf(Z) + expit(W) * np.sign(Z)
        C = np.maximum(W, 0.1) * np.minimum(Z, W) + np.clip(Z, -0.5, 0.5)
        D = np.where((W > 0) & ~(Z < -0.5) | (Z >= 1), A, B) + (W <= Z) * 0.5
        return 0.5 * W + learning_rate * (
            A - B / 3.0 + C - D + 1.0 / (2.0 + Z**2) + W**3 - (W**2 + 1) ** -0.5 - 2.0 / (3.0 + Z**-2)
        )


class Slices(ds.Model):
    """Rows, columns, steps, new axes; diagonal and trace."""

    weight_shape = (4, 4)

    def update(self, W, noise, learning_rate, batch_size):
        z = noise.normal(4)
        rows = W[::-1] + W[:, ::-1].T
        corner = W[1:3, 2:] @ W[:2, ::2].T
        edge = np.outer(W[0], z) + W[:, -1][:, None] * z[None, :]
        sizes = W[1:3, 1].sum() + W[-1, 0] + np.trace(W[:3, 1:]) + corner.trace() + W[..., 2].mean()
        flat = (rows.T @ W[:, :3])[:, ::-1] @ (2.0 * W)[2::-1, ::-1]
        return 0.1 * W + learning_rate * (rows + edge + sizes * np.eye(4) + np.diag(W.diagonal() * z) + flat + W[2])


class Vectors(ds.Model):
    """A bias, and a count of steps: vectors and numbers in the state."""

    def weight_shapes(self):
        return {"W": (3, 2), "b": (3,)}

    @property
    def memory(self):
        return {"count": 0.0, "mean": [1.0, -1.0]}

    def update(self, W, b, count, mean, noise, learning_rate, batch_size):
        x = noise.normal(2) + noise.normal() * mean
        h = np.tanh(W @ x + b)
        g = (h - np.arange(3.0)) * (1 - h * h)
        back = g @ W
        size = np.sqrt(back @ back + h.dot(np.ones(3)) ** 2 + 1.0)
        W = W - learning_rate * g[:, None] * x / size
        return W, b - learning_rate * g, count + 1, (mean * count + x) / (count + 1)


class Sums(ds.Model):
    """Sums over axes, of a batch as well, and what they are broadcast to."""

    weight_shape = (3, 4)

    def update(self, W, noise, learning_rate, batch_size):
        X, y = noise.samples(4), noise.label()
        norms = np.sqrt((X**2).sum(axis=1, keepdims=True) + 1.0)
        P = (X / norms) @ W.T
        scores = P.sum(axis=1) - y + X[:, 1]
        G = (P * scores[:, None]).T @ X / batch_size
        drift = X.mean(axis=0) + (scores * X[:, 0]).mean() + np.sum(P, axis=0).mean() + (W @ X.T).sum(axis=1).sum()
        centered = W - W.mean(axis=1, keepdims=True) - np.mean(W, 0)
        hot = (P > 0).sum() / 12.0
        return W - learning_rate * (G + drift + centered * W.sum() + hot)


class WholeBatch(ds.Model):
    """What needs all samples at once: their mean taken off, products between them, some of them."""

    weight_shape = (2, 3)

    def update(self, W, noise, learning_rate, batch_size):
        X = noise.samples(3)
        X = (X - X.mean(axis=0)) / np.sqrt(1.0 + (X**2).mean(axis=0))
        kernel = X @ X.T
        H = np.tanh(X @ W.T)
        G = (kernel @ H).T @ X / batch_size + H[0][:, None] * X[-1]
        return W - learning_rate * G


class Swap(ds.Model):
    """Each matrix takes the place of the other."""

    def weight_shapes(self):
        return {"W": (2, 3), "U": (3, 2)}

    def update(self, W, U, noise, learning_rate, batch_size):
        return U.T, W.T + learning_rate * U


@dataclass(frozen=True)
class Long(ds.Model):
    """A loop of Python, constants on either side of products, and an expression without end."""

    left: Any
    right: Any
    weight_shape = (3, 2)

    def update(self, W, noise, learning_rate, batch_size):
        total = W
        for k in range(6):
            W = self.left @ W @ self.right + self.left.T @ W / (k + 1.0) + W @ self.right.T
            total = total + W
        for k in range(40):
            total = total * 0.9 + np.cos(k)
        return W * 0.01 + learning_rate * total + self.left[:, :2] * learning_rate


class Constant(ds.Model):
    """What comes of nothing that is random."""

    weight_shape = (2, 2)

    def update(self, W, noise, learning_rate, batch_size):
        return np.eye(2) * learning_rate


class Streams(ds.Model):
    """The same input several times, which must differ; labels beside second moments."""

    weight_shape = (3, 3)

    def update(self, W, noise, learning_rate, batch_size):
        C, N = noise.second_moment(3, labels=3)
        D = noise.second_moment(3)
        Z, Y = noise.normal((3, 3)), noise.normal((3, 3))
        S, X = noise.symmetric(3), noise.samples(3) - noise.samples(3)
        return W - learning_rate * (W @ C - N + D @ W + Z - Y + S + X.T @ X / batch_size)


MODELS = {
    "decay": Decay(SQUARE), "teacher-student": TeacherStudent(SQUARE), "momentum": Momentum(WIDE),
    "autoencoder": Autoencoder(), "functions": Functions(), "slices": Slices(), "vectors": Vectors(), "sums": Sums(),
    "whole batch": WholeBatch(), "swap": Swap(), "constant": Constant(), "streams": Streams(),
    "long": Long(np.linspace(0.0, 1.0, 9).reshape(3, 3), np.linspace(-1.0, 1.0, 4).reshape(2, 2)),
}  # fmt: skip
