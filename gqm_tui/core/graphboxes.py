"""A job graph as boxes and lines: the double box was asked for, the heavy one is selected, `╌` leads away."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.cells import cell_len, set_cell_size

from gqm_tui.core.drawing import Run, Spot, in_ascii, short_state
from gqm_tui.core.graph import CriticalPath, Web
from gqm_tui.core.graphlayout import BOX_ROWS, Box, Layout, Piece, Point, lay_out
from gqm_tui.core.model import Node
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import Tone
from gqm_tui.core.text import fit

WIDTHS = (17, 21, 25)
"""Cells of a box: enough for a state, more for a long type."""
_FRAME_CELLS = 6
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LIGHT = " ╵╷│╴┘┐┤╶└┌├─┴┬┼"
_HEAVY = " ╹╻┃╸┛┓┫╺┗┏┣━┻┳╋"
# Corners from the top left on, side, top, bottom, and the port in the lower rim.
_SIMPLE = "┌┐└┘│──┬"
_ASKED = "╔╗╚╝║══╤"
_CHOSEN = "┏┓┗┛┃━━┯"
_CHOSEN_ASKED = "┏┓┗┛┃══╤"
_BORDER_TONES = (Tone.BAD, Tone.ACTIVE)
Cells = dict[int, dict[int, int]]
"""Directions in which a line goes on, by row and column."""


def box_width(node: Node) -> int:
    """Give the cells of a job's box."""
    wanted = cell_len(fit(node.type, WIDTHS[-1])) + _FRAME_CELLS
    return next((width for width in WIDTHS if width >= wanted), WIDTHS[-1])


def boxes_of(graph: Web) -> Layout:
    """Place the boxes of a graph."""
    return lay_out(graph, {name: box_width(node) for name, node in graph.nodes.items()})


@dataclass(frozen=True)
class Mesh:
    """The lines of a layout, cell by cell; made once for each layout."""

    layout: Layout
    cells: Mapping[int, Mapping[int, int]]

    @classmethod
    def of(cls, layout: Layout) -> "Mesh":
        """Lay the lines of all edges over each other; where two only cross, the upright one goes over."""
        nets: dict[int, dict[int, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
        for piece in layout.pieces.values():
            for (x, y), ways in _of_piece(piece):
                net = nets[y][x]
                net[piece.source] = net.get(piece.source, 0) | ways
        for source, x, top in layout.passing:
            for y in range(top, top + BOX_ROWS):
                nets[y][x][source] = _UP | _DOWN
        merged = {y: {x: _merged(net.values()) for x, net in row.items()} for y, row in nets.items()}
        return cls(layout, merged)


def _merged(nets: Iterable[int]) -> int:
    kinds = set(nets)
    if kinds == {_UP | _DOWN, _LEFT | _RIGHT}:
        return _UP | _DOWN
    joined = 0
    for ways in kinds:
        joined |= ways
    return joined


def _of_piece(piece: Piece) -> Iterable[tuple[Point, int]]:
    first, last = piece.span
    upright = _UP | _DOWN
    if first == last:
        yield from (((piece.port, y), upright) for y in range(piece.top, piece.bottom + 1))
        return
    yield from (((piece.port, y), upright) for y in range(piece.top, piece.track))
    for x in range(first, last + 1):
        ways = (_LEFT if x > first else 0) | (_RIGHT if x < last else 0)
        yield (x, piece.track), ways
    yield (piece.port, piece.track), _UP
    for column in piece.inlets.values():
        yield (column, piece.track), _DOWN
        yield from (((column, y), upright) for y in range(piece.track + 1, piece.bottom + 1))


def along(points: Sequence[Point]) -> Cells:
    """Give the cells of a line with these corners."""
    cells: Cells = defaultdict(dict)

    def put(x: int, y: int, way: int) -> None:
        cells[y][x] = cells[y].get(x, 0) | way

    for (x0, y0), (x1, y1) in pairwise(points):
        for y in range(y0, y1):
            put(x0, y, _DOWN)
            put(x0, y + 1, _UP)
        low, high = sorted((x0, x1))
        for x in range(low, high):
            put(x, y1, _RIGHT)
            put(x + 1, y1, _LEFT)
    if points:
        put(*points[-1], _DOWN)
    return cells


class BoxDrawing:
    """Boxes and lines of one moment."""

    def __init__(
        self,
        graph: Web,
        mesh: Mesh,
        signs: Signs,
        now: float | None,
        chosen: str,
        critical: CriticalPath,
    ) -> None:
        self._graph = graph
        self._mesh = mesh
        self._layout = mesh.layout
        self._signs = signs
        self._chosen = chosen
        self._critical = frozenset(critical.ids)
        self._states = {name: short_state(node, signs, now) for name, node in graph.nodes.items()}
        self._heavy: Cells = defaultdict(dict)
        for source, target in sorted(critical.edges):
            if self._layout.ranks[source] < self._layout.ranks[target]:
                self._mark(self._layout.path(source, target))
        self._by_row: dict[int, list[str]] = defaultdict(list)
        for name, box in self._layout.boxes.items():
            for y in range(box.y - 1, box.bottom + 2):
                self._by_row[y].append(name)

    def _mark(self, points: Sequence[Point]) -> None:
        for y, row in along(points).items():
            for x, ways in row.items():
                self._heavy[y][x] = self._heavy[y].get(x, 0) | ways

    @property
    def width(self) -> int:
        """Cells from the first to the last column."""
        return self._layout.width

    @property
    def height(self) -> int:
        """Lines."""
        return self._layout.height

    @property
    def identity(self) -> object:
        """All that can be seen."""
        return (
            "boxes",
            tuple((name, node.type, node.status) for name, node in self._graph.nodes.items()),
            tuple(self._states.values()),
            tuple(self._graph.edges),
            tuple((node.hidden_parents, node.hidden_children) for node in self._graph.nodes.values()),
            self._chosen,
            self._critical,
            self._signs,
        )

    def spot(self, key: str) -> Spot | None:
        """Where a job's box is, with the lines next to it."""
        box = self._layout.boxes.get(key)
        return None if box is None else Spot(box.x, box.y, box.width, BOX_ROWS)

    def at(self, x: int, y: int) -> str | None:
        """The job whose box is at a cell."""
        for name in self._by_row.get(y, ()):
            box = self._layout.boxes[name]
            if box.y <= y <= box.bottom and box.x <= x <= box.right:
                return name
        return None

    def line(self, y: int) -> Sequence[Run]:
        """The boxes, stubs and lines of a row."""
        runs = self._wires(y)
        for name in self._by_row.get(y, ()):
            runs += self._of_box(name, y)
        runs.sort(key=lambda run: run.x)
        return in_ascii(runs) if self._signs.ascii else runs

    def _wires(self, y: int) -> list[Run]:
        runs: list[Run] = []
        heavy = self._heavy.get(y, {})
        for x, ways in sorted(self._mesh.cells.get(y, {}).items()):
            marked = heavy.get(x, 0) & ways
            sign = (_HEAVY if marked == ways else _LIGHT)[ways]
            tone = Tone.WARN if marked else Tone.DIM
            last = runs[-1] if runs else None
            if last is not None and last.tone is tone and last.x + len(last.text) == x:
                runs[-1] = Run(last.x, last.text + sign, tone)
            else:
                runs.append(Run(x, sign, tone))
        return runs

    def _of_box(self, name: str, y: int) -> list[Run]:
        node, box = self._graph.nodes[name], self._layout.boxes[name]
        if y == box.y - 1:
            return [Run(box.x + 1, _stub_above(node.hidden_parents), Tone.DIM)] if node.hidden_parents else []
        if y == box.bottom + 1:
            count = node.hidden_children
            return [Run(box.x + 2, _stub_below(count), Tone.DIM)] if count else []
        chosen, asked = name == self._chosen, name == self._graph.root_id
        frame = (_CHOSEN_ASKED if chosen else _ASKED) if asked else _CHOSEN if chosen else _SIMPLE
        tone = self._border_tone(node, chosen=chosen)
        if y == box.y:
            return self._title(node, box, frame, tone, chosen=chosen)
        if y == box.bottom:
            return [Run(box.x, self._rim(node, box, frame), tone, chosen)]
        text = set_cell_size(fit(self._states[name], box.width - 4), box.width - 4)
        return [
            Run(box.x, frame[4], tone, chosen),
            Run(box.x + 1, f" {text} ", self._signs.tone(node.status), chosen),
            Run(box.right, frame[4], tone, chosen),
        ]

    def _border_tone(self, node: Node, *, chosen: bool) -> Tone:
        if node.id in self._critical:
            return Tone.WARN
        tone = self._signs.tone(node.status)
        return tone if tone in _BORDER_TONES else Tone.STRONG if chosen else Tone.DIM

    def _title(self, node: Node, box: Box, frame: str, tone: Tone, *, chosen: bool) -> list[Run]:
        title = fit(node.type, box.width - _FRAME_CELLS)
        mark = "»" if node.id in self._critical else frame[5]
        rest = frame[5] * (box.width - cell_len(title) - 5) + frame[1]
        name_tone = Tone.STRONG if chosen else Tone.PLAIN
        return [
            Run(box.x, f"{frame[0]}{mark} ", tone, chosen),
            Run(box.x + 3, title, name_tone, chosen),
            Run(box.x + 3 + cell_len(title), f" {rest}", tone, chosen),
        ]

    def _rim(self, node: Node, box: Box, frame: str) -> str:
        rim = [frame[6]] * box.width
        rim[0], rim[-1] = frame[2], frame[3]
        if (node.id, self._layout.ranks[node.id]) in self._layout.pieces:
            rim[box.port - box.x] = frame[7]
        if node.hidden_children:
            rim[2] = frame[7]
        return "".join(rim)


def _count(number: int) -> str:
    return str(number) if number < 1_000 else "999+"


def _stub_above(number: int) -> str:
    text = _count(number)
    return f"{text} ╌╌┐".rjust(6) if len(text) < 3 else f"{text} ╌┐" if len(text) == 3 else f"{text}╌┐"


def _stub_below(number: int) -> str:
    text = _count(number)
    return f"└╌╌ {text}" if len(text) < 3 else f"└╌ {text}" if len(text) == 3 else f"└╌{text}"
