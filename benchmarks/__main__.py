"""Runs benchmarks, ``python -m benchmarks NAME … | --all [--runs N] [--json]``, and the suite ``faults``."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.harness import Figure, report

NAMES = ("enqueue", "drain", "pickup", "api", "tui")


def main() -> None:
    """Run what the command line names and print the table."""
    if sys.argv[1:2] == ["faults"]:
        importlib.import_module("benchmarks.faults").main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}; or faults")
    parser.add_argument("--all", action="store_true", help="run all of them")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each (5)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    unknown = set(args.names) - set(NAMES)
    if unknown or not (args.names or args.all):
        parser.error(f"name one or more of {', '.join(NAMES)}, or --all")
    figures: list[Figure] = []
    for name in NAMES if args.all else args.names:
        figures += importlib.import_module(f"benchmarks.{name}").run(args.runs)
    print(report(figures, as_json=args.json))


if __name__ == "__main__":
    main()
