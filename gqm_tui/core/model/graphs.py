"""Jobs that wait for one another."""

from collections.abc import Mapping

from gqm_tui.core.model.base import Model


class Node(Model, frozen=True, kw_only=True):
    """A job in a graph."""

    id: str
    type: str
    status: str
    queue: str
    allow_failure: bool
    created_at: str
    """Digits, unix seconds; empty when it is not known."""
    layer: int
    order: int
    retry_count: int
    max_retry: int
    hidden_parents: int
    hidden_children: int
    started_at: int | None = None
    completed_at: int | None = None
    execution_duration: int | None = None
    error: str | None = None


class Edge(Model, frozen=True, kw_only=True):
    """From a parent to its child."""

    source: str
    target: str


class Graph(Model, frozen=True, kw_only=True):
    """What is shown of a graph."""

    root_id: str
    """The job that was asked for."""
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    truncated: bool
    hidden: int
    layers: int
    width: int
    counts: Mapping[str, int]
