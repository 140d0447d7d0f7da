"""Which fields the filter of each table knows, and which of them the server has to look for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gqm_tui.core.query import Query, QueryError, parse, to_params


@dataclass(frozen=True, slots=True)
class TableFields:
    """What the filter of one table may name.

    `names` gives the field that each accepted word means; rows of a table that is filtered here carry their
    values under those fields. A table with `params` is filtered by the server instead.
    """

    names: Mapping[str, str]
    params: frozenset[str] = field(default_factory=frozenset)
    word: str = "q"
    """The parameter that a word without a field becomes."""

    @property
    def paged(self) -> bool:
        """Whether the server filters this table and cuts it into pages."""
        return bool(self.params)

    def read(self, text: str) -> tuple[Query, dict[str, str]]:
        """Read a filter; give it with the server's parameters, which are none if rows are filtered here.

        Raises QueryError with one sentence for the filter bar.
        """
        query = parse(text, self.names)
        return query, to_params(query, self.params, self.word) if self.paged else {}


def _local(**fields: str) -> TableFields:
    """Build a table that is filtered here: each field with its other words."""
    names = {word: name for name, others in fields.items() for word in (name, *others.split())}
    return TableFields(names)


def _asked(*params: str, word: str = "q", **others: str) -> TableFields:
    """Build a table that the server filters: its parameters, and other words for them."""
    names = {name: name for name in params} | {
        other: name for other, name in others.items() if name in params
    }
    return TableFields(names, frozenset(params), word)


_JOBS = ("type", "q", "error", "worker", "since", "until")

FIELDS: Mapping[str, TableFields] = {
    "queues": _local(
        name="queue",
        state="status",
        ready="",
        act="active processing",
        sched="scheduled",
        retry="",
        dlq="dead dead_letter",
        oldest="oldest_age",
        **{"in": "in_per_min", "out": "out_per_min"},
        fail="failed failed_per_min",
        drain="",
    ),
    "jobs": _asked(*_JOBS, id="q"),
    "workers": _local(
        worker="id name",
        state="status",
        slots="active_jobs busy",
        ahead="",
        queues="queue",
        longest="",
        aband="abandoned",
        beat="last_heartbeat",
        up="",
    ),
    "worker": _asked("type", "q", "queue", "since", "until", id="q"),
    "failed-groups": _asked("queue", "type", "error", "since", "until", word="error"),
    "failed-flat": _asked(*_JOBS, "queue", id="q"),
    "cron": _local(
        id="name",
        schedule="expr cron_expr",
        meaning="description",
        tz="timezone",
        on="enabled",
        next="next_run",
        last="last_status",
        type="job_type",
        queue="",
    ),
    "cron-history": _local(
        fired="triggered_at", late="", by="", id="job job_id", outcome="", took="duration"
    ),
    "dag-roots": _asked(*_JOBS, "queue", id="q"),
    "dag-deferred": _asked(*_JOBS, "queue", id="q"),
    "servers": _local(
        server="id name hostname",
        state="status",
        version="",
        runtime="",
        role="scheduler",
        pools="pool",
        types="type",
        slots="busy",
        up="",
        beat="last_heartbeat",
    ),
    "actions": _local(target="", result="", method="", path="", status="", took="", text=""),
    "audit": _asked("actor", "action", "target", "since", "until", word="target"),
}
"""By table. Names of the server's parameters are those of the API; other words are those on the screen."""

TABLES_OF: Mapping[str, tuple[str, ...]] = {
    "queues": ("queues",),
    "workers": ("workers",),
    "failed": ("failed-groups", "failed-flat"),
    "cron": ("cron",),
    "dag": ("dag-roots", "dag-deferred"),
    "servers": ("servers",),
    "overview": (),
}
"""The tables that a tab can show, by tab, in the order of the tabs."""


def check_view(tab: str, text: str) -> str | None:
    """Return why a filter fits no table of a tab, or None if it fits one."""
    refusal = None if not text else f"{tab} has no filter"
    for name in TABLES_OF[tab]:
        try:
            FIELDS[name].read(text)
        except QueryError as error:
            refusal = str(error)
        else:
            return None
    return refusal
