"""What is told beside a graph: its counts, and everything about the selected job, in lines of words."""

from collections.abc import Mapping, Sequence

from gqm_tui.core import fmt
from gqm_tui.core.drawing import short_state, told
from gqm_tui.core.graph import CriticalPath, Web, fell_with, held_back, names_of, tally, waits_on, work_ms
from gqm_tui.core.jobtext import first_line
from gqm_tui.core.model import Graph, Node
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import Tone
from gqm_tui.core.text import fit

Words = tuple[str, Tone]
_NAME_CELLS = 40
_ERROR_CELLS = 300
_NAMES = 6


def counts_text(counts: Mapping[str, int], signs: Signs, *, done: bool = True) -> str:
    """Write counts by state as signs and numbers, as in `✓3 ►2 ✗1 ◌3`."""
    return " ".join(
        f"{signs.glyph(status)}{fmt.count(count)}"
        for status, count in tally(counts)
        if done or status != "completed"
    )


def jobs_text(graph: Graph, signs: Signs, *, narrow: bool) -> str:
    """Say how many jobs a graph has, and how many of them are not done."""
    parts = [f"{len(graph.nodes):,} job{'' if len(graph.nodes) == 1 else 's'}"]
    counts = {
        status: count for status, count in graph.counts.items() if not narrow or _matters(status, signs)
    }
    if told_counts := counts_text(counts, signs, done=False):
        parts.append(told_counts)
    return " · ".join(parts)


def _matters(status: str, signs: Signs) -> bool:
    return signs.tone(status) is Tone.BAD


def hidden_text(graph: Graph, undrawn: int) -> str:
    """Say what is not shown."""
    parts = []
    if graph.truncated or graph.hidden:
        parts.append(f"{graph.hidden:,} not shown" if graph.hidden else "more not shown")
    if undrawn:
        parts.append(f"{undrawn} edges not drawn")
    return " · ".join(parts)


def about(web: Web, node: Node, signs: Signs, now: float | None) -> list[Words]:
    """Tell everything about a job, a line each."""
    word, number = told(node, signs, now)
    state = " ".join(part for part in (signs.glyph(node.status), word, number) if part)
    lines: list[Words] = [
        (f"{state} · queue {fit(node.queue, _NAME_CELLS)}", signs.tone(node.status)),
    ]
    ms = work_ms(node, now)
    if ms is not None and node.status not in ("completed", "processing"):
        lines.append((f"ran {fmt.duration(ms)}", Tone.DIM))
    if node.error and node.status != "completed":
        lines.append((fit(first_line(node.error), _ERROR_CELLS), signs.tone(node.status)))
    lines += [(text, Tone.PLAIN) for text in _around(web, node)]
    if node.allow_failure:
        lines.append(("runs even if a parent fails", Tone.DIM))
    return lines


def _around(web: Web, node: Node) -> list[str]:
    found = []
    for text, ids in (
        ("holds back", held_back(web, node.id)),
        ("canceled with it", fell_with(web, node.id)),
        ("waits on", waits_on(web, node.id)),
    ):
        if ids:
            found.append(f"{text} {len(ids)}: {_names(web, ids)}")
    hidden = [
        f"{count:,} {what}"
        for count, what in ((node.hidden_parents, "parents"), (node.hidden_children, "children"))
        if count
    ]
    if hidden:
        found.append(f"╌ {' and '.join(hidden)} not shown")
    return found


def _names(web: Web, ids: Sequence[str]) -> str:
    names = [fit(name, _NAME_CELLS) for name in names_of(web, ids)]
    more = len(names) - _NAMES
    return ", ".join([*names[:_NAMES], f"{more} more"] if more > 0 else names)


def in_a_line(web: Web, node: Node, signs: Signs, now: float | None) -> list[Words]:
    """Tell the same on one line: what fits of it matters most first."""
    parts: list[Words] = [(short_state(node, signs, now), signs.tone(node.status))]
    if node.error and node.status != "completed":
        parts.append((fit(first_line(node.error), _ERROR_CELLS), Tone.PLAIN))
    parts += [(text.partition(":")[0], Tone.PLAIN) for text in _around(web, node)]
    return parts


def path_text(web: Web, path: CriticalPath, now: float | None) -> str:
    """Name the jobs of the critical path with what each took."""
    steps = []
    for name in path.ids:
        node = web.nodes[name]
        ms = work_ms(node, now)
        took = "" if ms is None else f" {fmt.duration(ms)}"
        steps.append(f"{fit(node.type, _NAME_CELLS)}{took}")
    return " › ".join(steps)
