"""Keeps what was measured in results.json, and writes RESULTS.md and the plot from it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import msgspec

from benchmarks.harness import Goal, Record, machine, number, server
from benchmarks.plot import Bar, plot

HERE = Path(__file__).parent
STORE = HERE / "results.json"
TABLE = HERE / "RESULTS.md"
PICTURE = HERE.parent / "docs" / "images" / "performance.svg"

STRESS = ("burst", "integrity", "sustained", "retry-storm", "three-pools", "backlog", "crashes")
GO = (
    ("enqueue, one a call", 13_900, 18_100),
    ("enqueue, batches of 1,000", 121_800, 137_800),
    ("enqueue, batches of 100", 99_200, 137_700),
    ("drain, async handlers, uvloop", 20_400, None),
    ("burst drain, 30 workers", None, 19_700),
    ("end to end, two processes", 7_800, 10_000),
    ("end to end, payloads of 10 KB", None, 1_607),
    ("end to end, payloads of 100 KB", None, 346),
    ("2,000 jobs of 20 ms, 100 slots, async", 4_400, None),
    ("promotion of due jobs", 100, None),
    ("pick-up by an idle worker, p50", 544, None),
)
"""Rows with the figures of Go GQM v0.5.0: measured on 2 cores with Redis 7.0.15, and those of its README."""
SHOWN = ("enqueue one by one", "drain of no-op jobs", "2,000 jobs of 20 ms")
"""What the plot shows of the comparison."""


@dataclass
class Peer:
    """What one queue did at one setting."""

    name: str
    version: str
    setting: str
    """``default`` or ``best``."""
    words: str
    """How its worker was started."""
    figures: dict[str, float] = field(default_factory=dict)
    """Median by work; the unit is in the name of the work."""


@dataclass
class Store:
    """All that was measured last."""

    machine: str = ""
    versions: str = ""
    dates: dict[str, str] = field(default_factory=dict)
    programs: dict[str, list[Record]] = field(default_factory=dict)
    peers: list[Peer] = field(default_factory=list)


def load() -> Store:
    """Return what is kept."""
    return msgspec.json.decode(STORE.read_bytes(), type=Store) if STORE.exists() else Store()


def save(programs: Mapping[str, list[Record]], peers: Sequence[Peer] = ()) -> None:
    """Keep new rows in place of those of the same programs, and write table and plot."""
    store = load()
    store.machine, store.versions = machine(), _versions()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    for name, records in programs.items():
        store.programs[name] = records
        store.dates[name] = today
    if peers:
        store.peers = list(peers)
        store.dates["peers"] = today
    STORE.write_bytes(msgspec.json.format(msgspec.json.encode(store), indent=1) + b"\n")
    write(store)


def write(store: Store) -> None:
    """Write the table and the plot."""
    TABLE.write_text("\n".join(_lines(store)) + "\n")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(plot(_panels(store)))


def _versions() -> str:
    with server() as redis:
        kind = redis.kind
    names = ("gqm", "redis", "hiredis", "msgspec", "uvloop")
    found = [f"{'redis-py' if name == 'redis' else name} {_version(name)}" for name in names]
    return ", ".join([f"server {kind}", *found])


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "from the checkout" if name == "gqm" else "not installed"


# -------------------------------------------------------------------------------------------- table


def _lines(store: Store) -> Iterator[str]:
    dates = sorted(set(store.dates.values()))
    yield "# Benchmark results"
    yield ""
    yield "Written by `python -m benchmarks --all --save` and `python -m benchmarks.peers --save`."
    yield ""
    yield f"- Machine: {store.machine}"
    yield f"- Versions: {store.versions}; server on loopback, without persistence"
    yield f"- Measured: {' to '.join(dict.fromkeys((dates[0], dates[-1]))) if dates else 'never'}"
    yield "- Each row is the median of its runs; neighbours may be of another run of the program."
    yield "- What depends on the machine is best read as a ratio."
    yield ""
    yield from _goals(store)
    yield from _stress(store)
    yield from _go(store)
    yield from _peers(store)
    yield from _others(store)


def _goals(store: Store) -> Iterator[str]:
    yield "## Goals"
    yield ""
    yield "| row | work | median | min – max | unit | must | aim | reached |"
    yield "|---|---|---|---|---|---|---|---|"
    rows = [record for records in store.programs.values() for record in records if record.goal]
    rows.sort(key=lambda record: int(record.goal.row[1:]) if record.goal else 0)
    for record in rows:
        goal = record.goal
        assert goal
        verdict = {"aim": "aim", "must": "must", "missed": "**no**"}[record.verdict]
        yield (
            f"| {goal.row} | {record.name} | {number(record.median)} | {_range(record)} | {record.unit} "
            f"| {_limit(goal, goal.must)} | {_limit(goal, goal.aim)} | {verdict} |"
        )
    yield ""


def _limit(goal: Goal, value: float | None) -> str:
    return "" if value is None else f"{'≥' if goal.higher else '≤'} {number(value)}"


def _range(record: Record) -> str:
    return f"{number(record.low)} – {number(record.high)}" if record.runs > 1 else ""


def _details(record: Record) -> str:
    return ", ".join(f"{key} {number(value)}" for key, value in record.details.items())


def _stress(store: Store) -> Iterator[str]:
    yield "## Stress, with the accounting of each load"
    yield ""
    yield "| load | median | unit | accounting |"
    yield "|---|---|---|---|"
    for name in STRESS:
        for record in store.programs.get(name, []):
            yield f"| {record.name} | {number(record.median)} | {record.unit} | {_details(record)} |"
    yield ""


def _go(store: Store) -> Iterator[str]:
    yield "## Beside Go GQM v0.5.0"
    yield ""
    yield "The figures of the Go original are not of this run: one column was measured earlier on a machine"
    yield "with 2 cores and Redis 7.0.15, the other is what its README says (4 vCPU)."
    yield ""
    yield "| work | here | unit | Go, 2 cores | Go, its README |"
    yield "|---|---|---|---|---|"
    rows = {record.name: record for records in store.programs.values() for record in records}
    for name, measured, told in GO:
        if name in rows:
            figures = ["–" if value is None else number(value) for value in (measured, told)]
            yield f"| {name} | {number(rows[name].median)} | {rows[name].unit} | {' | '.join(figures)} |"
    yield ""


def _others(store: Store) -> Iterator[str]:
    yield "## All rows, with what goes with them"
    yield ""
    yield "| program | row | median | min – max | unit | runs | details |"
    yield "|---|---|---|---|---|---|---|"
    for name, records in store.programs.items():
        if name not in STRESS:
            for record in records:
                yield (
                    f"| {name} | {record.name} | {number(record.median)} | {_range(record)} | {record.unit} "
                    f"| {record.runs} | {_details(record)} |"
                )


def _peers(store: Store) -> Iterator[str]:
    if not store.peers:
        return
    works = list(dict.fromkeys(work for peer in store.peers for work in peer.figures))
    yield "## Beside other Python queues"
    yield ""
    yield "The same work on the same machine and Redis, each in a virtual environment of its own. Handlers"
    yield "write one byte to a file, which is how runs are counted for all alike."
    yield ""
    yield f"| queue | setting | {' | '.join(works)} | worker |"
    yield f"|---|---|{'---|' * len(works)}---|"
    for peer in store.peers:
        values = [number(peer.figures[work]) if work in peer.figures else "–" for work in works]
        yield f"| {peer.name} {peer.version} | {peer.setting} | {' | '.join(values)} | {peer.words} |"
    yield ""


# --------------------------------------------------------------------------------------------- plot


def _panels(store: Store) -> list[tuple[str, list[Bar]]]:
    panels = []
    for work in dict.fromkeys(work for peer in store.peers for work in peer.figures):
        if not work.startswith(SHOWN):
            continue
        best: dict[str, float] = {}
        for peer in store.peers:
            if work in peer.figures:
                best[peer.name] = max(best.get(peer.name, 0.0), peer.figures[work])
        bars = [Bar(name, value, ours=name == "gqm") for name, value in best.items()]
        panels.append((work, sorted(bars, key=lambda bar: -bar.value)))
    return panels
