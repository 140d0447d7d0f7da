"""A job graph as a tree: a row for each job, and one more that carries ⧉ for each further parent."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from gqm_tui.core.drawing import Run, Spot, in_ascii, told
from gqm_tui.core.graph import CriticalPath, Web, waits_on
from gqm_tui.core.jobtext import first_line
from gqm_tui.core.model import Node
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import Tone
from gqm_tui.core.text import fit, fit_middle

_TYPE_CELLS = 40
_STATE_CELLS = 9
_NUMBER_CELLS = 7
_ERROR_CELLS = 200
_WIDE_CELLS = 118
_LEAST_INFO = 14
_PATH = "\x1f"
"""Stands between the ids of a row's key; no id can hold it."""


@dataclass(frozen=True, slots=True)
class TreeRow:
    """One row: its key (the way from the root), its job, the lines before it, and what is around it."""

    key: str
    id: str
    branch: str
    up: str | None
    down: str | None
    first_at: str | None = None
    """A further appearance: the parent under which the job stands with what depends on it."""


def tree_rows(graph: Web) -> list[TreeRow]:
    """Walk down from every job without a shown parent; what stood before is not walked again."""
    rows: list[TreeRow] = []
    seen: dict[str, str | None] = {}

    def walk(name: str, up: TreeRow | None, branch: str, indent: str) -> None:
        key = name if up is None else f"{up.key}{_PATH}{name}"
        again = name in seen
        below = () if again else graph.children[name]
        down = f"{key}{_PATH}{below[0]}" if below else None
        parent = None if up is None else up.id
        row = TreeRow(key, name, branch, None if up is None else up.key, down, seen.get(name))
        rows.append(row)
        seen.setdefault(name, parent)
        for child in below:
            last = child == below[-1]
            # A root has no line of its own, so its children begin at the margin.
            walk(child, row, indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  "))

    for name in graph.roots:
        walk(name, None, "▼ " if graph.children[name] else "  ", "")
    for name in graph.nodes:
        if name not in seen:
            walk(name, None, "▼ ", "")
    return rows


class TreeDrawing:
    """The tree of one moment."""

    def __init__(
        self,
        graph: Web,
        rows: Sequence[TreeRow],
        signs: Signs,
        now: float | None,
        chosen: str,
        critical: CriticalPath,
        *,
        narrow: bool,
        cells: int = _WIDE_CELLS,
    ) -> None:
        self._graph = graph
        self._rows = rows
        self._signs = signs
        self._now = now
        self._chosen = chosen
        self._critical = critical
        self._narrow = narrow
        self._cells = cells
        self._id_cells = 14 if narrow else 18
        self._places = {row.key: index for index, row in enumerate(rows)}
        widest = max((len(row.branch) + 2 + self._name_cells(row) for row in rows), default=0)
        self._name_width = max(widest, 18 if narrow else 24)
        self._lines = [self._made(row) for row in rows]
        self.width = max((run.x + cell_len(run.text) for line in self._lines for run in line), default=0)
        self.height = len(rows)

    @property
    def identity(self) -> object:
        """All that can be seen."""
        return ("tree", tuple(map(tuple, self._lines)), self._chosen, self._signs)

    def _name_cells(self, row: TreeRow) -> int:
        return cell_len(fit(self._graph.nodes[row.id].type, _TYPE_CELLS))

    def spot(self, key: str) -> Spot | None:
        """Where a row is: its branch and its name."""
        index = self._places.get(key)
        if index is None:
            return None
        row = self._rows[index]
        return Spot(max(0, len(row.branch) - 3), index, self._name_cells(row) + 6, 1)

    def at(self, x: int, y: int) -> str | None:
        """The row at a line."""
        return self._rows[y].key if 0 <= y < len(self._rows) else None

    def line(self, y: int) -> Sequence[Run]:
        """A row."""
        runs = self._lines[y] if 0 <= y < len(self._lines) else []
        return in_ascii(runs) if self._signs.ascii else runs

    def _made(self, row: TreeRow) -> list[Run]:
        node = self._graph.nodes[row.id]
        chosen = row.key == self._chosen
        tone = self._signs.tone(node.status)
        word, number = told(node, self._signs, self._now)
        name_x = len(row.branch) + 3
        id_x = 1 + self._name_width + 2
        state_x = id_x + self._id_cells + (2 if self._narrow else 3)
        number_x = state_x + _STATE_CELLS
        info_x = number_x + _NUMBER_CELLS + (2 if self._narrow else 3)
        marked = row.id in self._critical.ids
        name_tone = Tone.WARN if marked else Tone.STRONG if chosen else Tone.PLAIN
        runs = [
            Run(0, "▌" if chosen else "»" if marked else " ", Tone.WARN if marked else Tone.ACTIVE, chosen),
            Run(1, row.branch, Tone.DIM, chosen),
            Run(1 + len(row.branch), f"{self._signs.glyph(node.status)} ", tone, chosen),
            Run(name_x, fit(node.type, _TYPE_CELLS), name_tone, chosen),
            Run(id_x, fit_middle(node.id, self._id_cells), Tone.DIM, chosen),
            Run(state_x, fit(word, _STATE_CELLS), tone, chosen),
            Run(number_x, number.rjust(_NUMBER_CELLS), tone, chosen),
        ]
        info, info_tone = self._info(row, node)
        # A long error is cut at the rim of the view: only a deep tree makes the picture wider than that.
        room = max(_LEAST_INFO, self._cells - info_x)
        if chosen:
            return [*runs, Run(info_x, set_cell_size(fit(info, room), room), info_tone, chosen)]
        return [*runs, Run(info_x, fit(info, room), info_tone)] if info else runs

    def _info(self, row: TreeRow, node: Node) -> tuple[str, Tone]:
        parts = []
        error = fit(first_line(node.error), _ERROR_CELLS)
        if error and node.status != "completed":
            parts.append(error)
        if waiting := waits_on(self._graph, row.id):
            parts.append(f"waits on {len(waiting)}")
        if node.allow_failure:
            parts.append("allow_failure")
        if row.first_at is not None:
            under = fit(self._graph.nodes[row.first_at].type, _TYPE_CELLS)
            # Where there is little room the sign stands first, so that nothing cuts it off.
            if self._narrow:
                parts.insert(0, "⧉")
            else:
                parts.append(f"⧉ also under {under}")
        hidden = [
            f"{count} {what}"
            for count, what in ((node.hidden_parents, "parents"), (node.hidden_children, "children"))
            if count
        ]
        if hidden:
            parts.append(f"╌ {' and '.join(hidden)} not shown")
        bad = error and self._signs.tone(node.status) is Tone.BAD
        return " · ".join(parts), Tone.BAD if bad else Tone.DIM
