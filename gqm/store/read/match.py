"""Which jobs a list is about: the filter, and the test of one stored job against it."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Sequence

import msgspec

from gqm.errors import InvalidQuery
from gqm.job import Status
from gqm.store.commands.read import Values
from gqm.store.read.record import to_int

MAX_NAMES = 20
"""Most states, queues or types of one filter."""
MAX_Q = 256
MAX_ERROR = 200

_STATUSES = frozenset(Status)
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_RELATIVE = re.compile(r"-([0-9]{1,9})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class JobFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which jobs are meant. What is empty or ``None`` does not matter."""

    status: tuple[str, ...] = ()
    queue: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    """Job types; one that ends in ``*`` is a prefix."""
    q: str = ""
    """A part of the id."""
    error: str = ""
    """A part of the error text, in any case."""
    fingerprint: str = ""
    """16 hex digits, as from `fingerprint`."""
    worker: str = ""
    """A worker id, pool name or server id."""
    since: float | None = None
    """Unix seconds, included; tested against the list's time."""
    until: float | None = None

    def statuses(self) -> tuple[Status, ...]:
        """Return the states that are meant, without repetition; all if none is named."""
        return tuple(dict.fromkeys(Status(name) for name in self.status)) or tuple(Status)

    def check(self) -> None:
        """Raise `InvalidQuery` naming what is wrong."""
        for name in self.status:
            if name not in _STATUSES:
                raise InvalidQuery(f"status {name!r} is none of {', '.join(Status)}")
        for what in ("status", "queue", "type"):
            if len(getattr(self, what)) > MAX_NAMES:
                raise InvalidQuery(f"{what} takes at most {MAX_NAMES} values")
        if len(self.q) > MAX_Q:
            raise InvalidQuery(f"q is longer than {MAX_Q} characters")
        if len(self.error) > MAX_ERROR:
            raise InvalidQuery(f"error is longer than {MAX_ERROR} characters")
        if self.fingerprint and not _FINGERPRINT.fullmatch(self.fingerprint):
            raise InvalidQuery("fingerprint must be 16 lower-case hexadecimal digits")


def moment(value: str, now_s: float) -> float:
    """Read a point in time: unix seconds, or relative to ``now_s`` like ``-15m``, ``-24h``, ``-7d``.

    Raises `InvalidQuery` if it is neither.
    """
    relative = _RELATIVE.fullmatch(value)
    if relative:
        return now_s - int(relative[1]) * _UNIT_S[relative[2]]
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", value):
        return float(value)
    raise InvalidQuery(f"{value!r} is no time; give unix seconds, or -15m, -24h, -7d before now")


# ------------------------------------------------------------------------------------ fingerprints

_UUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_ID = re.compile(rf"(?<![0-9A-Za-z])(?:0x)?(?:{_UUID}|[0-9A-Fa-f]{{8,}})(?![0-9A-Za-z])")
_QUOTED = re.compile(r"(?<!\w)(?:'[^']*'|\"[^\"]*\"|`[^`]*`)(?!\w)")
_DIGITS = re.compile(r"[0-9]+")
MAX_TEMPLATE = 300


def template(error: str) -> str:
    """Return an error text without what differs from one failure to the next.

    It is the first line, with ids, quoted texts and numbers replaced.
    """
    return _without_details(error.strip().partition("\n")[0][:MAX_TEMPLATE])


# Up to 10,000 dead letters are read for one page, and a page is asked for again and again: most of them are
# those of the look before. The texts are short, so that all of it takes a few MB at most.
@functools.lru_cache(maxsize=16_384)
def _without_details(line: str) -> str:
    line = _ID.sub("<id>", line)
    if "'" in line or '"' in line or "`" in line:
        line = _QUOTED.sub("<s>", line)
    return " ".join(_DIGITS.sub("<n>", line).split())


def fingerprint(error: str) -> str:
    """Return 16 hexadecimal digits that errors of one kind have in common."""
    return hashlib.sha256(template(error).encode("utf-8", "replace")).hexdigest()[:16]


# ----------------------------------------------------------------------------------------- testing

Check = Callable[[Values], bool]

ALWAYS = ("status", "queue")
"""Fields that are read of every job that is looked at."""
_TIME_FIELDS = {
    Status.READY: ("ready_at_ms", "created_at"),
    Status.PROCESSING: ("started_at",),
    Status.DEFERRED: ("created_at",),
    Status.FAILED: ("failed_at", "completed_at"),
}


class Match:
    """Tests stored jobs against a filter; says which fields it has to see for that."""

    def __init__(self, wanted: JobFilter, also: Sequence[str] = ()) -> None:
        self.wanted = wanted
        self._queues = frozenset(name.encode() for name in wanted.queue)
        self.fields: tuple[str, ...] = tuple(dict.fromkeys((*ALWAYS, *self._filter_fields(), *also)))
        for status in wanted.statuses():
            missing = [name for name in _TIME_FIELDS.get(status, ()) if name not in self.fields]
            self.fields += tuple(missing)
        self._place = {name: index for index, name in enumerate(self.fields)}
        self._checks = tuple(self._make_checks())

    @property
    def reads_hashes(self) -> bool:
        """Whether the filter asks for more than state, queue, id and time."""
        return bool(self._checks)

    def value(self, values: Values, name: str) -> bytes | None:
        """Return a field of a job; it must be one of `fields`."""
        return values[self._place[name]]

    def id_fits(self, job_id: str) -> bool:
        """Test the id."""
        return self.wanted.q in job_id

    def queue_fits(self, values: Values) -> bool:
        """Test the queue; needed where one container holds the jobs of all queues."""
        return not self._queues or (values[1] or b"default") in self._queues

    def fits(self, values: Values) -> bool:
        """Test type, error and worker."""
        return all(check(values) for check in self._checks)

    def time_fits(self, time_s: float) -> bool:
        """Test the list's time."""
        since, until = self.wanted.since, self.wanted.until
        return (since is None or time_s >= since) and (until is None or time_s <= until)

    def time_s(self, values: Values, score: float) -> float:
        """Return the time by which a list of the job's state is sorted: see `JobFilter.since`.

        Ready: when it became ready. Scheduled, retry: when it is due. Processing: when it started. Deferred:
        when it was made. Ended: when it ended. ``score`` is the one in its container.
        """
        match values[0]:
            case b"ready":
                ready_ms = to_int(self.value(values, "ready_at_ms"))
                return ready_ms / 1000 if ready_ms else float(to_int(self.value(values, "created_at")) or 0)
            case b"processing":
                return float(to_int(self.value(values, "started_at")) or 0)
            case b"deferred":
                return float(to_int(self.value(values, "created_at")) or 0)
            case b"failed":
                failed_at = to_int(self.value(values, "failed_at"))
                return float(failed_at or to_int(self.value(values, "completed_at")) or 0)
        return score

    def _filter_fields(self) -> Sequence[str]:
        wanted = self.wanted
        names = []
        if wanted.type:
            names.append("type")
        if wanted.error or wanted.fingerprint:
            names.append("error")
        if wanted.worker:
            names.append("worker_id")
        return names

    def _make_checks(self) -> Sequence[Check]:
        wanted, place = self.wanted, self._place
        checks: list[Check] = []
        if wanted.type:
            checks.append(_type_check(wanted.type, place["type"]))
        if wanted.error:
            part, at = wanted.error.casefold(), place["error"]
            checks.append(lambda values: part in _text(values[at]).casefold())
        if wanted.fingerprint:
            checks.append(_fingerprint_check(wanted.fingerprint, place["error"]))
        if wanted.worker:
            checks.append(_worker_check(wanted.worker, place["worker_id"]))
        return checks


def _text(raw: bytes | None) -> str:
    return raw.decode("utf-8", "replace") if raw else ""


def _type_check(types: Sequence[str], at: int) -> Check:
    exact = frozenset(name.encode() for name in types if not name.endswith("*"))
    prefixes = tuple(name[:-1].encode() for name in types if name.endswith("*"))

    def check(values: Values) -> bool:
        name = values[at] or b""
        return name in exact or name.startswith(prefixes)

    return check


def _fingerprint_check(wanted: str, at: int) -> Check:
    def check(values: Values) -> bool:
        error = _text(values[at])
        return bool(error) and fingerprint(error) == wanted

    return check


def _worker_check(wanted: str, at: int) -> Check:
    def check(values: Values) -> bool:
        worker = _text(values[at])
        pool, _, server = worker.rpartition("@")
        return wanted in (worker, pool, server)

    return check
