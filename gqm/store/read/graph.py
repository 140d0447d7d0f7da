"""The graph around a job: what it waited for and what waits for it, laid out for drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET, UnsetType

from gqm.errors import InvalidQuery, JobNotFound
from gqm.job import DEFAULT_MAX_RETRY, Job
from gqm.store.command import Command, Word, call, texts
from gqm.store.commands.read import Values
from gqm.store.plan import Plan, ask
from gqm.store.read.views import View
from gqm.store.scripts import script

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_DEPTH = 50
MAX_NODES = 500
MAX_NAMED = 1000
"""Most children of one job that are named."""
AT_ONCE = 50
ERROR_IN_GRAPH = 200
UNKNOWN = "unknown"
"""State of a node whose job is gone."""

_FIELDS = (
    *("status", "queue", "type", "allow_failure", "created_at", "started_at", "completed_at"),
    *("execution_duration", "error", "retry_count", "max_retry", "depends_on"),
)


class Node(View, frozen=True, kw_only=True):
    """A job in the graph."""

    id: str
    type: str
    status: str
    """State of the job; `unknown` when it is gone."""
    queue: str
    allow_failure: bool
    created_at: str
    """Digits; empty when it is not known."""
    layer: int
    """Longest way from a node without shown parents."""
    order: int
    """Place in the layer."""
    retry_count: int
    max_retry: int
    hidden_parents: int
    """Parents that are not shown."""
    hidden_children: int
    """Children that are not shown."""
    started_at: int | UnsetType = UNSET
    completed_at: int | UnsetType = UNSET
    execution_duration: int | UnsetType = UNSET
    error: str | UnsetType = UNSET
    """At most 200 characters."""


class Edge(View, frozen=True, kw_only=True):
    """From a parent to its child."""

    source: str
    target: str


class Graph(View, frozen=True, kw_only=True):
    """What is shown of a graph."""

    root_id: str
    """The job that was asked for."""
    nodes: Sequence[Node]
    edges: Sequence[Edge]
    truncated: bool
    """Some neighbour is left out."""
    hidden: int
    """Known neighbours that are not shown."""
    layers: int
    """Height of the layout."""
    width: int
    """Most nodes of a layer."""
    counts: Mapping[str, int]
    """Shown nodes by state."""


@dataclass(slots=True)
class _Kin:
    """A job with its neighbours."""

    fields: dict[bytes, bytes]
    parents: list[str]
    children: list[str]
    child_count: int
    layer: int = 0
    order: int = 0
    shown_parents: list[str] = field(default_factory=list)
    shown_children: list[str] = field(default_factory=list)

    @property
    def age(self) -> int:
        created_at = self.fields.get(b"created_at", b"")
        return int(created_at) if created_at.isdigit() else 0


def get_graph(keys: Keys, job_id: str, *, depth: int = 10, max_nodes: int = 50) -> Plan[Graph]:
    """Return the jobs within ``depth`` steps of a job over parents and children, nearest first.

    Raises `JobNotFound`, and `InvalidQuery` for a number out of range.
    """
    if not 1 <= depth <= MAX_DEPTH:
        raise InvalidQuery(f"depth must be 1 to {MAX_DEPTH}, not {depth}")
    if not 1 <= max_nodes <= MAX_NODES:
        raise InvalidQuery(f"max_nodes must be 1 to {MAX_NODES}, not {max_nodes}")
    found = yield from _walk(keys, job_id, depth, max_nodes)
    if not found[job_id].fields.get(b"status"):
        raise JobNotFound(f"there is no job {job_id!r}: it never existed, expired or was deleted")
    _connect(found)
    _lay_out(found)
    return _graph(job_id, found)


def _walk(keys: Keys, job_id: str, depth: int, max_nodes: int) -> Plan[dict[str, _Kin]]:
    """Read the nearest jobs, step by step; those of one step by their ids."""
    found: dict[str, _Kin] = {}
    rim = [job_id]
    for _ in range(depth + 1):
        rim = rim[: max_nodes - len(found)]
        for start in range(0, len(rim), AT_ONCE):
            part = rim[start : start + AT_ONCE]
            found.update(zip(part, (yield from ask(_read_kin(keys, part))), strict=True))
        if len(found) >= max_nodes:
            break
        near = {other for one in rim for other in (*found[one].parents, *found[one].children)}
        rim = sorted(near - found.keys())
        if not rim:
            break
    return found


def _read_kin(keys: Keys, job_ids: Sequence[str]) -> Command[list[_Kin]]:
    args: tuple[Word, ...] = (keys.prefix, MAX_NAMED, len(_FIELDS), *_FIELDS, *job_ids)
    return call(script("read_kin"), (keys.job(job_ids[0]),), args, lambda raw: [_kin(row) for row in raw])


def _kin(row: Sequence[Any]) -> _Kin:
    values: Values = row[0]
    names = (name.encode() for name in _FIELDS)
    fields = {name: value for name, value in zip(names, values, strict=False) if value is not None}
    return _Kin(fields, list(dict.fromkeys(Job(fields).depends_on)), sorted(texts(row[2])), row[1])


# ------------------------------------------------------------------------------------------ layout


def _connect(found: Mapping[str, _Kin]) -> None:
    """Note the shown neighbours of each node, from either side's record."""
    edges = {(parent, job_id) for job_id, kin in found.items() for parent in kin.parents if parent in found}
    edges |= {(job_id, child) for job_id, kin in found.items() for child in kin.children if child in found}
    for parent, child in sorted(edges):
        if parent != child:
            found[parent].shown_children.append(child)
            found[child].shown_parents.append(parent)


def _lay_out(found: Mapping[str, _Kin]) -> None:
    """Give each node its layer, then its place by the mean place of its parents."""
    _find_layers(found)
    layers: dict[int, list[str]] = {}
    for job_id, kin in found.items():
        layers.setdefault(kin.layer, []).append(job_id)
    for layer in sorted(layers):
        places = {job_id: _mean_place(found, job_id) for job_id in layers[layer]}
        ordered = sorted(places, key=lambda job_id: (places[job_id], found[job_id].age, job_id))
        for place, job_id in enumerate(ordered):
            found[job_id].order = place


def _find_layers(found: Mapping[str, _Kin]) -> None:
    """Take nodes whose parents are all placed, again and again."""
    waiting = {job_id: len(kin.shown_parents) for job_id, kin in found.items()}
    free = [job_id for job_id, count in waiting.items() if not count]
    while waiting:
        if not free:  # a circle, which no GQM stores: it is cut at one of its nodes
            free = [min(waiting, key=lambda job_id: (found[job_id].age, job_id))]
        job_id = free.pop()
        del waiting[job_id]
        for child in found[job_id].shown_children:
            if child in waiting:
                found[child].layer = max(found[child].layer, found[job_id].layer + 1)
                waiting[child] -= 1
                if not waiting[child]:
                    free.append(child)


def _mean_place(found: Mapping[str, _Kin], job_id: str) -> float:
    parents = found[job_id].shown_parents
    return sum(found[parent].order for parent in parents) / len(parents) if parents else 0.0


def _graph(root_id: str, found: Mapping[str, _Kin]) -> Graph:
    nodes = [_node(job_id, kin) for job_id, kin in found.items()]
    nodes.sort(key=lambda node: (node.layer, node.order))
    counts: dict[str, int] = {}
    for node in nodes:
        counts[node.status] = counts.get(node.status, 0) + 1
    hidden = _hidden(found)
    return Graph(
        root_id=root_id,
        nodes=nodes,
        edges=[
            Edge(source=node.id, target=child) for node in nodes for child in found[node.id].shown_children
        ],
        truncated=hidden > 0,
        hidden=hidden,
        layers=max(node.layer for node in nodes) + 1,
        width=max(node.order for node in nodes) + 1,
        counts=counts,
    )


def _hidden(found: Mapping[str, _Kin]) -> int:
    """Count the neighbours that are not shown; children that were not even named count as others' never."""
    named = {other for kin in found.values() for other in (*kin.parents, *kin.children)}
    unnamed = sum(max(0, kin.child_count - len(kin.children)) for kin in found.values())
    return len(named - found.keys()) + unnamed


class _Text(NamedTuple):
    """Fields of a job that may be gone."""

    fields: Mapping[bytes, bytes]

    def __call__(self, name: bytes) -> str:
        return self.fields.get(name, b"").decode("utf-8", "replace")


def _node(job_id: str, kin: _Kin) -> Node:
    job, text = Job(kin.fields), _Text(kin.fields)
    known = bool(text(b"status"))
    return Node(
        id=job_id,
        type=job.type,
        status=text(b"status") or UNKNOWN,
        queue=job.queue if known else "",
        allow_failure=job.allow_failure,
        created_at=str(kin.age) if kin.age else "",
        layer=kin.layer,
        order=kin.order,
        retry_count=job.retry_count,
        max_retry=job.max_retry if known else DEFAULT_MAX_RETRY,
        hidden_parents=len(set(kin.parents) - set(kin.shown_parents)),
        hidden_children=max(0, kin.child_count - len(kin.shown_children)),
        started_at=_given(job.started_at),
        completed_at=_given(job.completed_at),
        execution_duration=_given(job.duration_ms),
        error=job.error[:ERROR_IN_GRAPH] or UNSET,
    )


def _given(value: int | None) -> int | UnsetType:
    return UNSET if value is None else value
