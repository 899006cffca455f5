"""`python -m benchmarks NAME [--quick] [--out FILE]`; without a name, the list."""

from __future__ import annotations

import sys

from benchmarks import digests, harness


def main(arguments: list[str]) -> int:
    """Run the benchmark that is named; 2 if there is none of that name."""
    name, *rest = arguments or ["--help"]
    if name in harness.NAMES:
        harness.main(name, rest)
        return 0
    if name == "digests":
        return digests.main(rest)
    width = max(map(len, harness.NAMES))
    listed = "".join(f"    {n:{width}}  {harness.headline(n)}\n" for n in (*harness.NAMES, "digests"))
    text = f"{__doc__.splitlines()[0]}\n{listed}Options of one: python -m benchmarks NAME --help"
    if name in ("-h", "--help"):
        print(text)
        return 0
    print(f"there is no benchmark {name!r}.\n{text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
