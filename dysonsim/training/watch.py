"""`watch`: record singular values of the weights of a torch model while it trains."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Literal

from .. import _checks
from .._version import __version__
from .matrices import Matrix, weight_matrices
from .optimizers import Steps
from .place import Place
from .recorder import Watch
from .recording import SAMPLING, Recording
from .samples import Samples

__all__ = ["watch"]


def watch(
    model: Any,
    *,
    every: int = 100,
    path: str | os.PathLike[str] | None = None,
    layers: str | Iterable[str] | None = None,
    top: int | None = None,
    kicks: bool = True,
    optimizer: Any = None,
    batch_size: int | None = None,
    sampling: Literal["with_replacement", "without_replacement"] | None = None,
    resume: bool | int = False,
    on_record: Callable[[Recording], Any] | None = None,
) -> Watch:
    """Record the singular values of a torch model's weight matrices while it trains: a context manager.

    The training loop stays as it is. Steps are seen where any optimizer of torch that holds the weights makes one: in
    plain loops, with accumulated gradients (one step), under a GradScaler (steps that it skips are not counted), in
    Lightning and in the Trainer of transformers. Training is the same bit for bit: weights are read, no random number
    is drawn. When the block is left, in whichever way, all hooks are gone.

    A record takes the Gram matrix of each layer and its eigenvalues, in float64, on the CPU; for float64 weights the
    singular value decomposition. Its time is measured, and if recording takes more than 5% of the processor time (of
    the time that passes, for weights on an accelerator), a warning says how large `every` must be.

    The batch size is the number of samples that went through the model in training mode, with gradients, since the
    last step: the first dimension of the first tensor given to ``model(...)``, or, where that is not called, as in
    Lightning, what most recorded layers were given. Give `batch_size` where that is wrong: if samples are the second
    dimension, if one goes through the model several times a step, or if the loop trains in evaluation mode. With
    torch.compile, watch what it returned; calls of the model inside are not seen.

    The many options are independent of each other; ``watch(model)`` suffices.

    Not valid for weights that are spread over processes (FSDP). In data-parallel training watch in one process, and
    give the batch size of all together.

    Parameters
    ----------
    model : torch.nn.Module
    every : int
        Steps from one record to the next. The start, step 0, is recorded as well.
    path : path, optional
        A new file to record to; without it the recording is in memory only. Each record is appended when it is made: if
        the process is killed, what `load_recording` finds is whole up to the last record. (It is handed to the system
        but not forced onto the disk: a power cut may cost the last seconds.) A record takes 8 bytes a singular value,
        twice that with kicks. The weights at the start are kept beside it, in ``path + ".initial.npz"``, 4 bytes a
        number (8 for float64); without `path` in memory.
    layers : str or list of str, optional
        Which weight matrices, by patterns such as "blocks.*.mlp.*". By default all: weights of two dimensions or more
        with no side of 1, those of a convolution as (out, in * k * k), tied ones once. The layer of "fc1.weight" is
        called "fc1"; prefixes of torch.compile and DataParallel are left out. Frozen layers are recorded like others.
    top : int, optional
        Keep the largest so many singular values of each layer; the others are lost. It saves space, not time.
    kicks : bool
        Record the singular values also one step after each record. Without, the strength of the noise stays unknown.
    optimizer : torch.optim.Optimizer, optional
        The one whose steps count, where several hold the recorded weights.
    batch_size : int, optional
        Samples a step, in place of those that are counted.
    sampling : "with_replacement" or "without_replacement", optional
        How batches are drawn; it cannot be seen from here. A DataLoader with shuffle=True draws without.
    resume : bool or int
        Continue the recording at `path`, from the step of the checkpoint that `model` was loaded from: later records
        are dropped, and what follows is the recording that would be there without the interruption, bit for bit if
        training is. True: from the last record. 0: from the start; also where there is no file yet, so that
        ``resume=first_step`` serves the first and all later starts of a job. Load the checkpoint before.
    on_record : callable(recording), optional
        Called after each record, for a live plot for example. What it raises ends the training; its time is not counted
        as that of recording.

    Returns
    -------
    context manager
        ``with ds.watch(model) as rec`` yields a `Recording`, which grows. A loop that moves weights without an
        optimizer calls ``rec.step()`` after each step.

    Raises
    ------
    ImportError
        Without torch: pip install "dysonsim[torch]".
    TypeError
        If a weight is quantized, integer, complex, sparse, meta, lazy or sharded, or an argument is of a wrong type.
    ValueError
        If there is no weight matrix, or an unknown layer; if a recording that is resumed has other layers, shapes or
        options, lacks records before that step, or other weights at it. Inside the block, from the step of an
        optimizer: if two of them move the recorded weights in turn; give `optimizer`. It comes at the first step of the
        second if the first has made one, else when the first returns; an optimizer that replaces another is no error.
    FileExistsError
        If there is a file at `path`, without `resume`.
    FileNotFoundError
        If there is none, with `resume` other than 0.

    Warns
    -----
    RuntimeWarning
        Once each: recording takes too much time; weights are not finite (their singular values are recorded as NaN, and
        training goes on); the batch size cannot be told; the file cannot be written (the recording goes on in memory);
        no step was seen when the block is left.

    Examples
    --------
    >>> import torch, dysonsim as ds
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with ds.watch(model, every=5) as rec:
    ...     for step in range(20):
    ...         optimizer.zero_grad()
    ...         model(torch.randn(16, 8)).square().mean().backward()
    ...         optimizer.step()
    >>> print(rec)
    Recording of 2 layers: 5 records of steps 0 to 20, every 5
      SGD
      layer  shape  levels  largest, first  last      learning rate  batch size
      0      6 x 8  6       0.961395        0.947652  0.1            16
      2      3 x 6  3       0.64456         0.511906  0.1            16
    >>> rec["0"].singular_values.shape, rec["0"].kicks.shape
    ((5, 6), (5, 6))

    A live plot:

    >>> def draw(rec):
    ...     rec["0"].plot(ax.cla() or ax)
    ...     plt.pause(0.01)
    """
    matrices = weight_matrices(model, layers)
    every = _checks.integer("every", every, 1)
    top = None if top is None else _checks.integer("top", top, 1)
    kicks = _checks.flag("kicks", kicks)
    if sampling is not None:
        _checks.choice("sampling", sampling, SAMPLING)
    if on_record is not None and not callable(on_record):
        raise TypeError(f"on_record = {_checks.shown(on_record)}: must be a function of the recording")
    about = {
        "dysonsim": __version__, "every": every, "kicks": kicks, "top": top, "sampling": sampling,
        "layers": {matrix.name: _described(matrix, top) for matrix in matrices},
    }  # fmt: skip
    batch_size = None if batch_size is None else _checks.integer("batch_size", batch_size, 1)
    steps = Steps(matrices, optimizer)
    samples = Samples(model, matrices, batch_size)
    return Watch(matrices, about, steps, samples, Place(path, resume), on_record)


def _described(matrix: Matrix, top: int | None) -> dict[str, Any]:
    levels = min(matrix.shape) if top is None else min(top, *matrix.shape)
    return {"shape": list(matrix.shape), "levels": levels}
