"""Command line: `dysonsim reproduce`, `dysonsim examine FILE` and `dysonsim --version`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0: every part ran. 1: a part failed (its traceback is in the report). 2: bad arguments, or a file that cannot be
    read. 130: interrupted.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return 2
    if chosen.command == "examine":
        return _examine(parser, chosen)
    from dysonsim.reproduce import reproduce

    try:
        results = reproduce(chosen.out, "quick" if chosen.quick else "full", chosen.seed, echo=_say)
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError) as error:
        parser.exit(2, f"dysonsim reproduce: error: {error}\n")
    return 0 if results["complete"] else 1


def _examine(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> int:
    """Run `dysonsim examine`."""
    from dysonsim.ensembles.simulate import DivergenceError
    from dysonsim.training.report import examine_files

    options = {name: getattr(chosen, name) for name in ("null", "draws", "level", "seed")}
    try:
        examine_files(
            chosen.weights, initial=chosen.initial, out=chosen.out, layers=chosen.layers, echo=_say, **options
        )
    except KeyboardInterrupt:
        return 130
    except (TypeError, ValueError, ImportError, OSError, MemoryError, DivergenceError) as error:
        parser.exit(2, f"dysonsim examine: error: {error}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    from ._version import __version__

    parser = argparse.ArgumentParser(
        prog="dysonsim",
        description="Train ensembles of small networks and compare their spectra with random matrix theory.",
    )
    parser.add_argument("--version", action="version", version=f"dysonsim {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands")
    command = commands.add_parser(
        "reproduce",
        help="run the papers' simulations and write a report",
        description="Simulate the networks of arXiv:2412.20496 and arXiv:2407.16427 and write figures, "
        "results.json and a self-contained report.html. Exit status 0 only if every part ran.",
    )
    command.add_argument(
        "--quick", action="store_true", help="fewer networks and points: about a minute instead of ten"
    )
    command.add_argument(
        "--out", default="dysonsim-report", metavar="DIR", help="where to write (default: %(default)s)"
    )
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="same seed, same numbers (default: %(default)s)"
    )
    _add_examine(commands)
    return parser


def _add_examine(commands: Any) -> None:
    command = commands.add_parser(
        "examine",
        help="test whether the weights in a file are random matrices",
        description="Test the spectrum of each weight matrix in a file against random matrices, print a table, and "
        "write results.json and a self-contained report.html with a picture for each layer. Exit status 0 if it ran.",
    )
    command.add_argument("weights", metavar="FILE", help="weights: .npz, .safetensors, .pt, .h5, .keras, ...")
    command.add_argument("--initial", metavar="FILE", help="the same weights before training, as a control")
    command.add_argument(
        "--out", default="dysonsim-examination", metavar="DIR", help="where to write (default: %(default)s)"
    )
    command.add_argument(
        "--layers",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only layers such as 'blocks.*.up'; repeatable",
    )
    command.add_argument(
        "--null",
        choices=("auto", "shuffle", "gaussian"),
        default="auto",
        help="what random means (default: %(default)s)",
    )
    command.add_argument(
        "--draws", type=int, default=999, metavar="N", help="random matrices a test (default: %(default)s)"
    )
    command.add_argument("--level", type=float, default=0.01, metavar="P", help="p that rejects (default: %(default)s)")
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="same seed, same numbers (default: %(default)s)"
    )


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
