"""What a graph of jobs says: who waits for whom, what holds others back, and the longest way through it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gqm_tui.core.model import Graph, Job, Node

MOST_BOXES = 30
"""Graphs with more jobs than this are first shown as a tree."""
_ENDED_BADLY = frozenset({"dead_letter", "failed", "canceled", "stopped"})
_OVER = _ENDED_BADLY | {"completed", "expired", "unknown"}


@dataclass(frozen=True, slots=True)
class Web:
    """A graph with its ways both up and down; nodes, parents and children stand by layer, then by order."""

    root_id: str
    """The job that was asked for."""
    nodes: Mapping[str, Node]
    parents: Mapping[str, tuple[str, ...]]
    children: Mapping[str, tuple[str, ...]]

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Every edge once, as parent and child."""
        return [(source, target) for source, targets in self.children.items() for target in targets]

    @property
    def roots(self) -> list[str]:
        """The jobs without a parent that is shown."""
        return [name for name in self.nodes if not self.parents[name]]


def web(graph: Graph) -> Web:
    """Read a graph. An edge to a job that is not there, or to itself, is left out."""
    nodes = {node.id: node for node in sorted(graph.nodes, key=_place)}
    edges = {
        (edge.source, edge.target)
        for edge in graph.edges
        if edge.source in nodes and edge.target in nodes and edge.source != edge.target
    }
    parents: dict[str, list[str]] = {name: [] for name in nodes}
    children: dict[str, list[str]] = {name: [] for name in nodes}
    places = {name: index for index, name in enumerate(nodes)}
    for source, target in sorted(edges, key=lambda edge: (places[edge[0]], places[edge[1]])):
        parents[target].append(source)
        children[source].append(target)
    return Web(graph.root_id, nodes, _frozen(parents), _frozen(children))


def _place(node: Node) -> tuple[int, int, str]:
    return node.layer, node.order, node.id


def _frozen(lists: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(found) for name, found in lists.items()}


def job_of(node: Node) -> Job:
    """Give what a graph knows of a job in the form in which actions take it."""
    created = int(node.created_at) if node.created_at.isdecimal() else 0
    return Job(
        id=node.id,
        type=node.type,
        queue=node.queue,
        status=node.status,
        payload_bytes=0,
        retry_count=node.retry_count,
        max_retry=node.max_retry,
        attempt=0,
        created_at=created,
        allow_failure=node.allow_failure,
        error=node.error,
    )


# -- times


def work_ms(node: Node, now: float | None) -> float | None:
    """Return how long a job ran, or runs by now, in milliseconds; None before it ran."""
    if node.status == "processing" and node.started_at is not None and now is not None:
        return max(0.0, (now - node.started_at) * 1_000)
    return None if node.execution_duration is None else float(node.execution_duration)


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The chain of jobs, each waiting for the one before, that took longest; durations in milliseconds."""

    ids: tuple[str, ...] = ()
    total_ms: float = 0.0

    @property
    def edges(self) -> frozenset[tuple[str, str]]:
        """The edges along it."""
        return frozenset(pairwise(self.ids))


def critical_path(graph: Web, now: float | None) -> CriticalPath:
    """Find the longest chain by duration; of equally long ones the one of more jobs, then the first placed.

    This is the longest path of an acyclic graph, found in one walk in topological order. Jobs that have not
    run yet count nothing and are named at the end of the chain that they will prolong.
    """
    best: dict[str, tuple[float, int, str | None]] = {}
    for name in _topological(graph):
        before = [parent for parent in graph.parents[name] if parent in best]
        parent = max(before, key=lambda one: best[one][:2], default=None)
        total, count, _ = (0.0, 0, None) if parent is None else best[parent]
        best[name] = (total + (work_ms(graph.nodes[name], now) or 0.0), count + 1, parent)
    end = max(best, key=lambda one: best[one][:2], default=None)
    if end is None:
        return CriticalPath()
    ids, total = [end], best[end][0]
    while (parent := best[ids[-1]][2]) is not None:
        ids.append(parent)
    return CriticalPath(tuple(reversed(ids)), total)


def _topological(graph: Web) -> list[str]:
    """List every job behind its parents; jobs of a ring, which no server sends, come last."""
    missing = {name: len(parents) for name, parents in graph.parents.items()}
    ready = [name for name, count in missing.items() if count == 0]
    for name in ready:
        for child in graph.children[name]:
            missing[child] -= 1
            if missing[child] == 0:
                ready.append(child)
    return ready + [name for name, count in missing.items() if count > 0]


# -- who waits for whom


def held_back(graph: Web, name: str) -> list[str]:
    """List the deferred jobs that cannot start before this one is done, near ones first."""
    if graph.nodes[name].status == "completed":
        return []
    return _below(graph, name, frozenset({"deferred"}))


def fell_with(graph: Web, name: str) -> list[str]:
    """List the jobs below this one that were canceled, if it ended badly, near ones first."""
    if graph.nodes[name].status not in _ENDED_BADLY:
        return []
    return _below(graph, name, frozenset({"canceled"}))


def _below(graph: Web, name: str, states: frozenset[str]) -> list[str]:
    """Walk down over jobs in some states."""
    found = {name: None}
    for one in (queue := [name]):
        for child in graph.children[one]:
            if child not in found and graph.nodes[child].status in states:
                found[child] = None
                queue.append(child)
    return list(found)[1:]


def waits_on(graph: Web, name: str) -> list[str]:
    """List the shown parents that a deferred job still waits for."""
    node = graph.nodes[name]
    if node.status != "deferred":
        return []
    settled = _OVER if node.allow_failure else frozenset({"completed"})
    return [parent for parent in graph.parents[name] if graph.nodes[parent].status not in settled]


def tally(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Order counts by state as they are told: what is done first, what still waits last."""
    merged = dict.fromkeys(_TOLD, 0)
    for status, count in counts.items():
        told = _TOLD_AS.get(status, status)
        merged[told] = merged.get(told, 0) + count
    return [(status, count) for status, count in merged.items() if count]


_TOLD = ("completed", "processing", "retry", "dead_letter", "canceled", "ready", "scheduled", "deferred")
_TOLD_AS = {"failed": "dead_letter", "stopped": "canceled"}


def names_of(graph: Web, ids: Iterable[str]) -> list[str]:
    """Give the types of jobs, each type once, in the order of the jobs."""
    return list(dict.fromkeys(graph.nodes[name].type for name in ids))
