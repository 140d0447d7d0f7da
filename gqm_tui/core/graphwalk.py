"""Which job an arrow key selects: along edges, within a layer, or row by row in a tree."""

from collections.abc import Iterable, Sequence

from gqm_tui.core.graph import Web
from gqm_tui.core.graphlayout import Layout
from gqm_tui.core.graphtree import TreeRow


def box_beside(graph: Web, layout: Layout, name: str, direction: str) -> str | None:
    """Give the job that lies up, down, left or right of another one; None at the rim.

    Up is the nearest parent and down the nearest child; a job without any goes to the nearest box of the
    next layer that way, so that every box can be reached.
    """
    if name not in layout.boxes:
        return None
    rank = layout.ranks[name]
    if direction in ("left", "right"):
        row = [one for one in layout.boxes if layout.ranks[one] == rank]
        row.sort(key=lambda one: layout.boxes[one].x)
        at = row.index(name) + (1 if direction == "right" else -1)
        return row[at] if 0 <= at < len(row) else None
    up = direction == "up"
    related = _nearest(layout, name, graph.parents[name] if up else graph.children[name])
    if related is not None:
        return related
    ranks = sorted({layout.ranks[one] for one in layout.boxes}, reverse=up)
    beyond = next((other for other in ranks if (other < rank if up else other > rank)), None)
    return _nearest(layout, name, (one for one in layout.boxes if layout.ranks[one] == beyond))


def _nearest(layout: Layout, name: str, others: Iterable[str]) -> str | None:
    here = layout.boxes[name]
    return min(
        others,
        key=lambda one: (
            abs(layout.ranks[one] - layout.ranks[name]),
            abs(layout.boxes[one].port - here.port),
        ),
        default=None,
    )


def row_beside(rows: Sequence[TreeRow], key: str, direction: str) -> TreeRow | None:
    """Give the row above or below, the parent's row (left), or the first child's row (right)."""
    at = next((index for index, row in enumerate(rows) if row.key == key), None)
    if at is None:
        return rows[0] if rows else None
    if direction in ("up", "down"):
        to = at + (1 if direction == "down" else -1)
        return rows[to] if 0 <= to < len(rows) else None
    wanted = rows[at].up if direction == "left" else rows[at].down
    return next((row for row in rows if row.key == wanted), None)
