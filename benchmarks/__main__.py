"""Runs benchmarks: ``python -m benchmarks NAME … | --all``; ``faults`` is the fault suite."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmarks.harness import Figure, Record, report
from benchmarks.results import save

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = {
    "enqueue": "enqueue.single",
    "batch": "enqueue.batch",
    "drain": "drain.no_op",
    "end-to-end": "flow.end_to_end",
    "sleepers": "drain.sleeping",
    "pickup": "pickup.idle",
    "promotion": "pickup.promotion",
    "payloads": "flow.payloads",
    "depth": "drain.depth",
    "chains": "flow.chains",
    "memory": "footprint.memory",
    "idle": "footprint.idle",
    "retained": "footprint.retained",
    "start": "footprint.start",
    "processes": "drain.processes",
    "burst": "drain.burst",
    "integrity": "stress.integrity",
    "sustained": "stress.sustained",
    "retry-storm": "stress.retry_storm",
    "three-pools": "stress.three_pools",
    "backlog": "stress.backlog",
    "crashes": "stress.crashes",
    "tui": "tui.run",
    "api": "api.run",
}
"""Names of the programs and where they are."""


def run(name: str, runs: int) -> list[Record]:
    """Run one program and print its rows as they come."""
    module, function = PROGRAMS[name].split(".")
    program: Callable[[int], Iterable[Figure]] = getattr(
        importlib.import_module(f"benchmarks.{module}"), function
    )
    figures, begun = [], time.perf_counter()
    for figure in program(runs):
        print(figure.row(), file=sys.stderr, flush=True)
        figures.append(figure.record())
    print(f"-- {name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    return figures


def main() -> None:
    """Run what the command line names and print the table."""
    if sys.argv[1:2] == ["faults"]:
        importlib.import_module("benchmarks.faults").main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(PROGRAMS)}; or faults")
    parser.add_argument("--all", action="store_true", help="run all of them")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each (5)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--save", action="store_true", help="write the rows into RESULTS.md and the plot")
    args = parser.parse_args()
    unknown = set(args.names) - set(PROGRAMS)
    if unknown or not (args.names or args.all):
        parser.error(f"name one or more of {', '.join(PROGRAMS)}, or --all")
    records: list[Record] = []
    failed = []
    for name in PROGRAMS if args.all else args.names:
        try:
            done = run(name, args.runs)
        except Exception:  # noqa: BLE001 - one wrong accounting must not cost the figures of all others
            traceback.print_exc()
            failed.append(name)
            continue
        records += done
        if args.save:
            save({name: done})
    print(report(records, as_json=args.json))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
