"""Where the boxes of a job graph stand, and which way each edge goes: layers, columns, tracks between them.

The server gives layer and order. An edge that passes several layers gets a place of one cell in each of them,
so that no line ever runs through a box. Everything that leaves one job shares its line until it has to part.
Columns follow the classic layered drawing (Sugiyama, Tagawa and Toda 1981): each job is drawn as near to the
mean of its neighbours as the boxes beside it allow, which pool adjacent violators solves exactly. Boxes hand
out lines on even columns, long edges run on odd ones, and lines enter a box where no other leaves above it:
so two different lines meet only where they cross.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from gqm_tui.core.graph import Web

BOX_ROWS = 3
STUB_CELLS = 7
"""Cells at the left of a box that the stub of its hidden neighbours takes."""
_GAP = 1
_ROUNDS = 6

Point = tuple[int, int]
"""Column and row."""


class Key(NamedTuple):
    """Something in a layer: a job, or the place where its long edges pass."""

    name: str
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """Where a job is drawn, in cells."""

    x: int
    y: int
    width: int

    @property
    def right(self) -> int:
        """The last column."""
        return self.x + self.width - 1

    @property
    def bottom(self) -> int:
        """The last row."""
        return self.y + BOX_ROWS - 1

    @property
    def port(self) -> int:
        """The column on which lines leave."""
        return self.x + self.width // 2


@dataclass(frozen=True, slots=True)
class Piece:
    """A line from one place of a layer to all that it leads to in the next: down, along its track, down."""

    source: str
    port: int
    top: int
    track: int
    bottom: int
    inlets: Mapping[Key, int]

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last column of the part along the track."""
        columns = (self.port, *self.inlets.values())
        return min(columns), max(columns)


@dataclass(frozen=True, slots=True)
class Layout:
    """A drawn graph, in cells; `passing` are the places of long edges as source, column and first row."""

    width: int
    height: int
    boxes: Mapping[str, Box]
    ranks: Mapping[str, int]
    pieces: Mapping[tuple[str, int], Piece]
    passing: tuple[tuple[str, int, int], ...]
    undrawn: int = 0
    """Edges that do not lead downwards; no server sends them."""

    def path(self, source: str, target: str) -> list[Point]:
        """The corners of an edge, from the lower rim of the parent to the row above the child."""
        box = self.boxes[source]
        points = [(box.port, box.bottom)]
        for rank in range(self.ranks[source], self.ranks[target]):
            piece = self.pieces[source, rank]
            arrives = rank + 1 == self.ranks[target]
            column = piece.inlets[Key(target) if arrives else Key(source, passing=True)]
            points += [(piece.port, piece.track), (column, piece.track), (column, piece.bottom)]
        return [point for index, point in enumerate(points) if index == 0 or point != points[index - 1]]


def lay_out(graph: Web, widths: Mapping[str, int]) -> Layout:
    """Place every job of a graph; `widths` are the cells of the boxes, of the form 4n + 1."""
    if not graph.nodes:
        return Layout(0, 0, {}, {}, {}, ())
    ranks = _ranks(graph)
    rows = _Rows(graph, ranks, widths)
    columns = rows.columns()
    return _draw(graph, rows, columns)


def _ranks(graph: Web) -> dict[str, int]:
    layers = sorted({node.layer for node in graph.nodes.values()})
    rank_of = {layer: rank for rank, layer in enumerate(layers)}
    return {name: rank_of[node.layer] for name, node in graph.nodes.items()}


class _Rows:
    """What stands in each layer, from left to right, and what it leads to."""

    def __init__(self, graph: Web, ranks: Mapping[str, int], widths: Mapping[str, int]) -> None:
        self.ranks = ranks
        self._widths = widths
        down = {
            name: [child for child in children if ranks[child] > ranks[name]]
            for name, children in graph.children.items()
        }
        self.undrawn = len(graph.edges) - sum(len(children) for children in down.values())
        self.below: dict[tuple[Key, int], list[Key]] = {}
        self.above: dict[tuple[Key, int], list[Key]] = {}
        count = max(ranks.values()) + 1
        self.rows: list[list[Key]] = [[] for _ in range(count)]
        for name in graph.nodes:
            self.rows[ranks[name]].append(Key(name))
        for name, children in down.items():
            self._lead(name, children)
        for rank in range(1, count):
            self.rows[rank] = self._woven(rank)

    def _lead(self, name: str, children: Sequence[str]) -> None:
        """Note the way from a job to its children, through the layers between."""
        last = max((self.ranks[child] for child in children), default=self.ranks[name])
        for rank in range(self.ranks[name], last):
            here = Key(name, passing=rank > self.ranks[name])
            there = [Key(child) for child in children if self.ranks[child] == rank + 1]
            if rank + 1 < last:
                there.append(Key(name, passing=True))
            self.below[here, rank] = there
            for key in there:
                self.above.setdefault((key, rank + 1), []).append(here)

    def _woven(self, rank: int) -> list[Key]:
        """Put the long edges of a layer between its jobs, whose own order stays."""
        before = {key: index / len(self.rows[rank - 1]) for index, key in enumerate(self.rows[rank - 1])}

        def mean(key: Key) -> float | None:
            places = [before[upper] for upper in self.above.get((key, rank), ())]
            return sum(places) / len(places) if places else None

        passing = sorted(
            (mean(key) or 0.0, key)
            for (key, at), uppers in self.above.items()
            if at == rank and key.passing and uppers
        )
        woven: list[Key] = []
        for key in self.rows[rank]:
            place = mean(key)
            while passing and place is not None and passing[0][0] < place:
                woven.append(passing.pop(0)[1])
            woven.append(key)
        return [*woven, *(key for _, key in passing)]

    def width(self, key: Key) -> int:
        """Cells that something takes in its layer."""
        return 1 if key.passing else self._widths[key.name]

    def columns(self) -> list[dict[Key, int]]:
        """Give the left column of everything, by layer."""
        centres = [self._packed(row) for row in self.rows]
        for turn in range(_ROUNDS):
            down = turn % 2 == 0
            ranks = range(1, len(self.rows)) if down else range(len(self.rows) - 2, -1, -1)
            for rank in ranks:
                other = centres[rank - 1 if down else rank + 1]
                self._pull(rank, centres[rank], other, self.above if down else self.below)
        return self._snapped(centres)

    def _packed(self, row: Sequence[Key]) -> dict[Key, float]:
        total = sum(self.width(key) + _GAP for key in row) - _GAP
        at, found = -total / 2, {}
        for key in row:
            found[key] = at + self.width(key) / 2
            at += self.width(key) + _GAP
        return found

    def _pull(
        self,
        rank: int,
        centres: dict[Key, float],
        other: Mapping[Key, float],
        ways: Mapping[tuple[Key, int], Sequence[Key]],
    ) -> None:
        """Draw a layer to the mean of its neighbours in another one."""
        row = self.rows[rank]
        wanted = []
        for key in row:
            near = [other[neighbour] for neighbour in ways.get((key, rank), ())]
            wanted.append(sum(near) / len(near) if near else centres[key])
        gaps = [(self.width(left) + self.width(right)) / 2 + _GAP for left, right in pairwise(row)]
        centres.update(zip(row, spread(wanted, gaps), strict=True))

    def _snapped(self, centres: Sequence[Mapping[Key, float]]) -> list[dict[Key, int]]:
        """Go over to whole cells: boxes on even columns, long edges on odd ones, none below another's."""
        found: list[dict[Key, int]] = []
        for row, places in zip(self.rows, centres, strict=True):
            taken = {x: key for key, x in (found[-1] if found else {}).items() if key.passing}
            free, here = -(10**9), {}
            for key in row:
                x = max(free, round(places[key] - self.width(key) / 2))
                x += x % 2 if not key.passing else 1 - x % 2
                while key.passing and x in taken and taken[x] != key:
                    x += 2
                here[key] = x
                free = x + self.width(key) + _GAP
            found.append(here)
        left = min(x for row in found for x in row.values())
        shift = left - left % 2
        return [{key: x - shift for key, x in row.items()} for row in found]


def spread(wanted: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Place points in their order, at least the gaps apart, with the least squared distance from the wanted.

    Pool adjacent violators: points that are too near to each other become one block that stands at its mean.
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    blocks: list[tuple[float, int]] = []
    for place, offset in zip(wanted, offsets, strict=True):
        total, count = place - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before = blocks.pop()
            total, count = total + before[0], count + before[1]
        blocks.append((total, count))
    means = [total / count for total, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _draw(graph: Web, rows: _Rows, columns: Sequence[Mapping[Key, int]]) -> Layout:
    """Give each layer its rows, and each channel between two layers the tracks that it needs."""
    boxes: dict[str, Box] = {}
    pieces: dict[tuple[str, int], Piece] = {}
    passing: list[tuple[str, int, int]] = []
    ways: list[tuple[Key, int, dict[Key, int]]] = []
    top = y = 0
    for rank, row in enumerate(columns):
        tracks = _tracks(ways)
        track_top, y = y, y + (max([1, *tracks]) if rank else 0)
        names = [key.name for key in row if not key.passing]
        y += any(graph.nodes[name].hidden_parents for name in names)
        for (key, port, inlets), lane in zip(ways, tracks, strict=True):
            track = track_top + max(0, lane - 1)
            pieces[key.name, rank - 1] = Piece(key.name, port, top, track, y - 1, inlets)
        for key, x in row.items():
            if key.passing:
                passing.append((key.name, x, y))
            else:
                boxes[key.name] = Box(x, y, rows.width(key))
        top = y = y + BOX_ROWS
        y += any(graph.nodes[name].hidden_children for name in names)
        ways = _ways(graph, rows, columns, rank)
    width = max(x + rows.width(key) for row in columns for key, x in row.items())
    return Layout(width, y, boxes, rows.ranks, pieces, tuple(passing), rows.undrawn)


def _ways(
    graph: Web, rows: _Rows, columns: Sequence[Mapping[Key, int]], rank: int
) -> list[tuple[Key, int, dict[Key, int]]]:
    """Give what leaves a layer: from where, on which column, and on which columns it enters the next."""
    ports = {
        key: x if key.passing else x + rows.width(key) // 2
        for key, x in columns[rank].items()
        if rows.below.get((key, rank))
    }
    inlets: dict[Key, dict[Key, int]] = {key: {} for key in ports}
    for key, x in columns[rank + 1].items() if rank + 1 < len(columns) else ():
        parents = sorted(rows.above.get((key, rank + 1), ()), key=lambda parent: ports[parent])
        if key.passing:
            inlets[parents[0]][key] = x
            continue
        first = x + 1 + (STUB_CELLS if graph.nodes[key.name].hidden_parents else 0)
        places = range(first, x + rows.width(key) - 1)
        chosen = _entries(places, x + rows.width(key) // 2, [ports[one] for one in parents], ports.values())
        for parent, column in zip(parents, chosen, strict=True):
            inlets[parent][key] = column
    return [(key, port, inlets[key]) for key, port in ports.items()]


def _entries(places: range, centre: int, parents: Sequence[int], ports: Collection[int]) -> list[int]:
    """Choose where lines enter a box: straight down from a single parent, else side by side at the centre."""
    if len(parents) == 1 and parents[0] in places:
        return list(parents)
    free = [place for place in places if place not in ports] or list(places)
    count = len(parents)
    if count > len(free):
        return [free[index * len(free) // count] for index in range(count)]
    step = 2 if 2 * count - 1 <= len(free) else 1
    middle = min(range(len(free)), key=lambda index: abs(free[index] - centre))
    start = min(max(0, middle - (count - 1) * step // 2), len(free) - 1 - (count - 1) * step)
    return [free[start + index * step] for index in range(count)]


def _tracks(ways: Sequence[tuple[Key, int, Mapping[Key, int]]]) -> list[int]:
    """Give each line its track, counted from 1; lines share one where they do not touch. Straight ones: 0."""
    spans = []
    for index, (_, port, inlets) in enumerate(ways):
        columns = (port, *inlets.values())
        spans.append((min(columns), max(columns), index))
    found = [0] * len(spans)
    ends: list[int] = []
    for first, last, index in sorted(spans):
        if first == last:
            continue
        lane = next((at for at, end in enumerate(ends) if end + 1 < first), len(ends))
        ends[lane : lane + 1] = [last]
        found[index] = lane + 1
    return found
