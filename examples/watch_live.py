"""Watch the singular values of a network while it trains, in a figure that is drawn anew at each record.

The network learns a matrix of rank 3 from noisy examples: three of its singular values leave the others.
Needs PyTorch: pip install "dysonsim[torch]".
"""

from __future__ import annotations

import dysonsim as ds


def main(steps: int = 2000, every: int = 100, path: str = "watch_live.png") -> ds.Recording:
    import matplotlib.pyplot as plt
    import torch

    torch.manual_seed(0)
    teacher = torch.randn(20, 3) @ torch.randn(3, 40) / 40**0.5
    model = torch.nn.Sequential(torch.nn.Linear(40, 30, bias=False), torch.nn.Linear(30, 20, bias=False))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=1e-3)
    axes = plt.subplots()[1]

    def draw(rec: ds.Recording) -> None:
        axes.clear()
        rec["0"].plot(axes)
        plt.pause(0.001)

    with ds.watch(model, every=every, on_record=draw) as rec:
        for _ in range(steps):
            x = torch.randn(16, 40)
            loss = (model(x) - x @ teacher.T - 0.1 * torch.randn(16, 20)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    axes.figure.savefig(path)
    print(rec)
    return rec


if __name__ == "__main__":
    main()
