"""Command line: `dysonsim reproduce [--quick] [--out DIR] [--seed N]` and `dysonsim --version`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0: every part ran. 1: a part failed (its traceback is in the report). 2: bad arguments. 130: interrupted.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return 2
    from dysonsim.reproduce import reproduce

    try:
        results = reproduce(chosen.out, "quick" if chosen.quick else "full", chosen.seed, echo=_say)
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError) as error:
        parser.exit(2, f"dysonsim reproduce: error: {error}\n")
    return 0 if results["complete"] else 1


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
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
