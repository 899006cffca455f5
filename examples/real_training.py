"""Is a real training random-matrix? A small character GPT and an MLP on digits, in PyTorch, in about three minutes.

pip install "dysonsim[torch]" scikit-learn
python examples/real_training.py [--out real_training.png] [--quick]

Four pictures: the spectrum of one matrix with its controls; singular values as they leave the bulk; how fluctuations of
singular values scale, for batches drawn with and without replacement; and how rarely two of them come close.
"""

from __future__ import annotations

import argparse
import itertools
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import dysonsim as ds

LAYER = "layers.0"  # of the MLP: 64 pixels to 16 units
MATRIX = "blocks.0.up"  # of the GPT
POINTS = ((0.2, 16), (0.2, 64), (0.1, 16), (0.1, 64))  # learning rate, batch size
DECAY = 0.02
CONTEXT = 48


class MLP(nn.Module):
    """64 pixels to 10 digits through two small hidden layers."""

    def __init__(self, widths: tuple[int, ...] = (64, 16, 12, 10)) -> None:
        super().__init__()
        self.layers = nn.ModuleList(itertools.starmap(nn.Linear, itertools.pairwise(widths)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            x = torch.tanh(layer(x))
        return last(x)


class Block(nn.Module):
    """Attention and a layer of units, each added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.norm1, self.norm2 = heads, nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        parts = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(*parts, is_causal=True).transpose(1, 2).reshape(batch, length, width)
        x = x + self.proj(y)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Next character from the last `CONTEXT`."""

    def __init__(self, characters: int, width: int = 96, layers: int = 3, heads: int = 4) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(characters, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, characters, bias=False)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.05)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        x = self.embed(text) + self.place(torch.arange(text.shape[1]))
        return self.head(self.norm(self.blocks(x)))


def source_text(size: int = 1_000_000) -> tuple[torch.Tensor, int]:
    """The source of Python's standard library as numbers, and how many characters there are."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    text = "".join(file.read_text(errors="ignore") for file in files[:80]).encode("ascii", "ignore").decode()[:size]
    table = {character: i for i, character in enumerate(sorted(set(text)))}
    return torch.tensor([table[character] for character in text]), len(table)


def train_gpt(steps: int, every: int) -> tuple[GPT, ds.Recording]:
    """The training, watched by the one line `with ds.watch(...)`."""
    text, characters = source_text()
    torch.manual_seed(0)
    model = GPT(characters)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    with ds.watch(model, every=every, kicks=False) as rec:
        for _ in range(steps):
            start = torch.randint(len(text) - CONTEXT - 1, (32,))
            batch = text[start[:, None] + torch.arange(CONTEXT + 1)]
            loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print(f"GPT: loss {loss.item():.2f} after {steps} steps")
    return model, rec


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """scikit-learn's 1797 digits."""
    from sklearn.datasets import load_digits

    found = load_digits()
    x = (found.data - found.data.mean(0)) / found.data.std()
    return torch.tensor(x, dtype=torch.float32), torch.tensor(found.target)


def batches(count: int, size: int, replacement: bool, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Indices of samples: drawn anew for each batch, or a shuffled epoch after the other, without the remainder."""
    while True:
        if replacement:
            yield torch.randint(count, (size,), generator=generator)
        else:
            yield from torch.randperm(count, generator=generator)[: count // size * size].view(-1, size)


def train_mlp(
    model: MLP, learning_rate: float, batch_size: int, replacement: bool, steps: int, every: int | None = None
) -> ds.Recording:
    """Continue a training that has arrived, and record it."""
    x, y = digits()
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, weight_decay=DECAY)
    drawn = batches(len(x), batch_size, replacement, torch.Generator().manual_seed(1))
    sampling = "with_replacement" if replacement else "without_replacement"
    with ds.watch(model, every=every or int(8 / learning_rate), sampling=sampling) as rec:
        for chosen in itertools.islice(drawn, steps):
            optimizer.zero_grad()
            F.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimizer.step()
    return rec


def arrived() -> MLP:
    """A network whose loss has come to rest."""
    torch.manual_seed(0)
    model = MLP()
    train_mlp(model, 0.2, 64, True, int(40 / (0.2 * DECAY)))
    train_mlp(model, 0.1, 256, True, int(5 / (0.1 * DECAY)))
    return model


def scan(start: MLP, length: float) -> dict[bool, list[ds.Recording]]:
    """One run at each point, of 65 relaxation times 1/(learning rate * decay) for length 1."""
    found: dict[bool, list[ds.Recording]] = {True: [], False: []}
    for replacement, (learning_rate, batch_size) in itertools.product(found, POINTS):
        model = MLP()
        model.load_state_dict(start.state_dict())
        steps = int(length * 65 / (learning_rate * DECAY))
        found[replacement].append(train_mlp(model, learning_rate, batch_size, replacement, steps))
        print(f"MLP: {steps} steps at learning rate {learning_rate}, |B| = {batch_size}, replacement {replacement}")
    return found


def draw_scaling(axes, rules: dict[bool, ds.ScalingRule]) -> None:
    """Var of sums of singular values against the learning rate over the batch size."""
    for replacement, rule in rules.items():
        color, how = ("C0", "with") if replacement else ("C1", "without")
        if not rule.points:  # runs too short to tell
            continue
        x = np.array([point.learning_rate / point.batch_size for point in rule.points])
        y = np.exp([point.log_variance for point in rule.points])
        y /= y[np.argmax(x)]
        order = np.argsort(x)
        label = f"{how} replacement: {rule.verdict.split(':')[0]}"
        axes.plot(x[order], y[order], "o-", color=color, label=label)
        axes.plot(x[order], (x[order] / x.max()) ** (1 if replacement else 2), "--", color=color, lw=0.8)
    axes.set(
        xscale="log", yscale="log", xlabel="learning rate / batch size", ylabel="Var of sums / that of the largest"
    )
    axes.set_title("linear scaling rule (dashed: slopes 1 and 2)")
    axes.legend(fontsize="small")


def draw_repulsion(axes, recording: ds.Recording, found: ds.Fluctuations) -> None:
    """Share of gaps below s: levels that repel like those of a real symmetric matrix have s^2, others s."""
    levels = recording[LAYER].singular_values[-found.records :]
    colliding = [pair.levels for pair in found.pairs if pair.collides]
    random = np.random.default_rng(0)
    gaps, apart = [], []
    for i, j in colliding:
        gap = levels[:, j] - levels[:, i]
        gaps.append(gap / gap.mean())
        free = np.abs(random.permutation(levels[:, j]) - random.permutation(levels[:, i]))
        apart.append(free / free.mean())
    s = np.geomspace(0.02, 2, 60)
    for values, style, label in ((gaps, "C0-", "as trained"), (apart, "C1-", "each level shuffled in time")):
        if values:
            axes.plot(s, [np.mean(np.concatenate(values) < limit) for limit in s], style, label=label)
    axes.plot(s, ds.laws.WignerSurmise(beta=1).cdf(s), "k--", lw=1, label="Wigner surmise, β = 1")
    axes.set(xscale="log", yscale="log", xlabel="gap / mean gap", ylabel="share of smaller gaps", ylim=(1e-4, 1.2))
    axes.set_title(f"level repulsion: β = {found.beta}" if found.beta else "level repulsion: no pair collides")
    axes.legend(fontsize="small")


def main(out: Path = Path("real_training.png"), quick: bool = False) -> dict[str, object]:
    from matplotlib.figure import Figure

    model, rec = train_gpt(steps=40 if quick else 700, every=20)
    examination = ds.examine(model, initial=rec.initial, draws=99 if quick else 299)
    print(examination)

    torch.set_num_threads(1)  # the layers are small
    length, start = (0.02 if quick else 1.0), arrived()
    recordings = scan(start, length)
    rules = {replacement: ds.scaling_rule(of, LAYER) for replacement, of in recordings.items()}
    for rule in rules.values():
        print(rule)
    long = train_mlp(start, 0.2, 16, True, int(length * 260 / (0.2 * DECAY)), every=30)  # collisions are rare
    found = ds.fluctuations(long, LAYER, records=slice(len(long.steps) // 20, None))
    print(found)

    figure = Figure(figsize=(12, 9), layout="constrained")
    (a, b), (c, d) = figure.subplots(2, 2)
    examination[MATRIX].plot(a)
    rec[MATRIX].plot(b)
    draw_scaling(c, rules)
    draw_repulsion(d, long, found)
    figure.savefig(out, dpi=110)
    print(f"written: {out}")
    return {"examination": examination, "rules": rules, "fluctuations": found}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("real_training.png"))
    parser.add_argument("--quick", action="store_true", help="seconds; shows that it runs, and nothing else")
    options = parser.parse_args()
    main(options.out, options.quick)
