"""Command line: `dysonsim reproduce`, `examine FILE`, `scan FILE.py`, and `dysonsim --version`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0: every part, or point, ran. 1: a part failed (its traceback is in the report), or a point. 2: bad arguments, or a
    file that cannot be read. 130: interrupted.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return 2
    from dysonsim.ensembles.simulate import DivergenceError

    try:
        return 0 if chosen.run(chosen) else 1
    except KeyboardInterrupt:
        return 130
    except (TypeError, ValueError, ImportError, OSError, MemoryError, DivergenceError) as error:
        parser.exit(2, f"dysonsim {chosen.command}: error: {error}\n")


def _reproduce(chosen: argparse.Namespace) -> bool:
    from dysonsim.reproduce import reproduce

    return reproduce(chosen.out, "quick" if chosen.quick else "full", chosen.seed, echo=_say)["complete"]


def _scan(chosen: argparse.Namespace) -> bool:
    from dysonsim.scans.command import run_file

    return run_file(chosen.file, chosen.client, chosen.resume, chosen.status, _say)


def _examine(chosen: argparse.Namespace) -> bool:
    from dysonsim.training.report import examine_files

    options = {name: getattr(chosen, name) for name in ("initial", "out", "layers", "null", "draws", "level", "seed")}
    examine_files(chosen.weights, echo=_say, **options)
    return True


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
    command.set_defaults(run=_reproduce)
    _add_examine(commands)
    _add_scan(commands)
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
    command.set_defaults(run=_examine)


def _add_scan(commands: Any) -> None:
    command = commands.add_parser(
        "scan",
        help="run the scan that a script defines",
        description="Run a Python script that calls dysonsim.scan. Exit status 0 if every point ran, 1 if some failed.",
    )
    command.add_argument("file", metavar="FILE", help="the script; with --status also the path of a store")
    command.add_argument("--resume", action="store_true", help="go on with a store that is there")
    command.add_argument("--client", metavar="ADDRESS", help="of a Dask scheduler, whose workers run the points")
    command.add_argument("--status", action="store_true", help="print what is done, failed and left, and run nothing")
    command.set_defaults(run=_scan)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
