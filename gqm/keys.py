"""The key space: every Redis key and channel name that GQM uses is built here and nowhere else.

====================================  ======  ================================================  =============
key (behind the prefix)               type    members                                           expires
====================================  ======  ================================================  =============
``queues``                            set     queue names                                       never
``paused``                            set     paused queue names                                never
``queue:{q}:ready``                   list    job ids; head = back, tail = next to run          never
``queue:{q}:processing``              zset    job id; score = deadline                          never
``queue:{q}:completed``               zset    job id; score = finish s                          never
``queue:{q}:dead_letter``             zset    job id; score = finish s                          never
``queue:{q}:canceled``                zset    canceled and stopped job ids; score = finish s    never
``scheduled``                         zset    scheduled and retried job ids; score = due s      never
``deferred``                          set     ids of jobs that wait for parents                 never
``job:{id}``                          hash    the job                                           once terminal
``job:{id}:deps``                     set     all parent ids                                    with its use
``job:{id}:pending_deps``             set     parents not settled yet                           with its use
``job:{id}:dependents``               set     children still to be told                         with its use
``job:{id}:children``                 set     all child ids, kept for the graph                 hash + 1 h
``job:{id}:attempts``                 list    JSON of ended attempts, newest first; 20 stay     as the hash
``dag:roots``                         zset    jobs with children and no retained parent         never
``stats:{q}:processed:{YYYY-MM-DD}``  int     completions of one UTC day                        90 d
``stats:{q}:failed:{YYYY-MM-DD}``     int     dead letters of one UTC day                       90 d
``stats:{q}:processed_total``         int     completions                                       never
``stats:{q}:failed_total``            int     dead letters                                      never
``stats:{q}:minute:{unix minute}``    hash    claimed, processed, failed, retried, skipped, …   3 h
``stats:{q}:ledger``                  hash    accepted, requeued, processed, dead, canceled, …  never
``settings``                          hash    result_ttl, failure_ttl of the servers            never
``server:{sid}``                      hash    one server process                                60 s
``server:{sid}:claims``               hash    job id → token|budget|claim ms|queue              with its use
``worker:{pool}@{sid}``               hash    one pool of one server                            60 s
``servers``, ``workers``              set     members of the two above                          never
``leases``                            zset    server id; score = s at which the lease ends      never
``cron:entries``                      hash    entry id → JSON                                   never
``cron:meta``, ``cron:slots``         hash    entry id → JSON; entry id → last handled slot     never
``cron:lock:{c}``                     string  owner; set by Go schedulers                       30 s
``cron:current:{c}``                  string  newest job id of the entry                        never
``cron:active:{c}``                   set     jobs of the entry not known to be terminal        never
``cron:history:{c}``                  zset    job id; score = fire s; newest 1000               never
``session:{sha256}``                  hash    one signed-in browser                             session life
``sessions:user:{user}``              set     session hashes of a user                          session life
``login:pair:{address}:{hash}``       int     failed logins of one user from one address        300 s
``login:addr:{address}``              int     failed logins from one address                    300 s
``keys:used``                         hash    API key name → JSON of its last use               never
``audit``                             stream  operator actions, about 10 000                    trimmed
``events:rate``                       int     messages published this second                    1 s
``access:probe``                      any     made and removed by one script, to try commands   at once
``events``, ``control``               –       channels                                          –
====================================  ======  ================================================  =============

Scripts build the keys that depend on data from the prefix with the same names (``store/lua/lib/base.lua``).
"""

from __future__ import annotations

import hashlib
import re

DEFAULT_PREFIX = "gqm:"
_PREFIX = re.compile(r"[A-Za-z0-9._:-]*(\{[A-Za-z0-9._:-]+\})?[A-Za-z0-9._:-]*")
MAX_PREFIX = 64


def full_prefix(prefix: str, *, exact: bool = False) -> str:
    """Return the prefix as it stands in front of keys: with a final ``:`` unless ``exact``.

    Raises ``ValueError`` if it holds characters that a prefix may not hold.
    """
    if len(prefix) > MAX_PREFIX or not _PREFIX.fullmatch(prefix):
        raise ValueError(
            f"prefix {prefix!r}: allowed are letters, digits, . _ : - and one {{tag}} in braces, "
            f"at most {MAX_PREFIX} characters"
        )
    return prefix if exact or prefix.endswith(":") else prefix + ":"


class Keys:
    """Key names under one prefix (given complete, as from `full_prefix`)."""

    __slots__ = (
        "access_probe",
        "audit",
        "control",
        "cron_entries",
        "cron_meta",
        "cron_slots",
        "dag_roots",
        "deferred",
        "events",
        "events_rate",
        "keys_used",
        "leases",
        "paused",
        "prefix",
        "queues",
        "scheduled",
        "servers",
        "settings",
        "workers",
    )

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        self.prefix = prefix
        self.queues = prefix + "queues"
        self.paused = prefix + "paused"
        self.scheduled = prefix + "scheduled"
        self.deferred = prefix + "deferred"
        self.dag_roots = prefix + "dag:roots"
        self.settings = prefix + "settings"
        self.servers = prefix + "servers"
        self.workers = prefix + "workers"
        self.leases = prefix + "leases"
        self.cron_entries = prefix + "cron:entries"
        self.cron_meta = prefix + "cron:meta"
        self.cron_slots = prefix + "cron:slots"
        self.keys_used = prefix + "keys:used"
        self.audit = prefix + "audit"
        self.access_probe = prefix + "access:probe"
        self.events = prefix + "events"
        self.events_rate = prefix + "events:rate"
        self.control = prefix + "control"

    def ready(self, queue: str) -> str:
        """List of the ids that may run next."""
        return f"{self.prefix}queue:{queue}:ready"

    def processing(self, queue: str) -> str:
        """Zset of the running ids by deadline."""
        return f"{self.prefix}queue:{queue}:processing"

    def completed(self, queue: str) -> str:
        """Zset of the completed ids by finish second."""
        return f"{self.prefix}queue:{queue}:completed"

    def dead_letter(self, queue: str) -> str:
        """Zset of the dead ids by finish second."""
        return f"{self.prefix}queue:{queue}:dead_letter"

    def canceled(self, queue: str) -> str:
        """Zset of the canceled and stopped ids by finish second."""
        return f"{self.prefix}queue:{queue}:canceled"

    def job(self, job_id: str) -> str:
        """Hash of one job."""
        return f"{self.prefix}job:{job_id}"

    def deps(self, job_id: str) -> str:
        """Set of all parents of a job."""
        return f"{self.prefix}job:{job_id}:deps"

    def pending_deps(self, job_id: str) -> str:
        """Set of the parents a job still waits for."""
        return f"{self.prefix}job:{job_id}:pending_deps"

    def dependents(self, job_id: str) -> str:
        """Set of the children that are still to be told how the job ended."""
        return f"{self.prefix}job:{job_id}:dependents"

    def children(self, job_id: str) -> str:
        """Set of all children of a job."""
        return f"{self.prefix}job:{job_id}:children"

    def attempts(self, job_id: str) -> str:
        """List of the ended attempts of a job."""
        return f"{self.prefix}job:{job_id}:attempts"

    def day(self, queue: str, name: str, day: str) -> str:
        """Counter ``name`` (processed, failed) of one UTC day ``YYYY-MM-DD``."""
        return f"{self.prefix}stats:{queue}:{name}:{day}"

    def total(self, queue: str, name: str) -> str:
        """Counter ``name`` (processed, failed) for life."""
        return f"{self.prefix}stats:{queue}:{name}_total"

    def minute(self, queue: str, minute: int) -> str:
        """Hash of one unix minute's counters."""
        return f"{self.prefix}stats:{queue}:minute:{minute}"

    def ledger(self, queue: str) -> str:
        """Hash of the queue's ledger."""
        return f"{self.prefix}stats:{queue}:ledger"

    def server(self, server_id: str) -> str:
        """Hash of one server process."""
        return f"{self.prefix}server:{server_id}"

    def claims(self, server_id: str) -> str:
        """Hash of the claims a server holds."""
        return f"{self.prefix}server:{server_id}:claims"

    def worker(self, worker_id: str) -> str:
        """Hash of one pool of one server; ``worker_id`` is ``{pool}@{server id}``."""
        return f"{self.prefix}worker:{worker_id}"

    def cron_lock(self, entry: str) -> str:
        """Lock that Go schedulers take."""
        return f"{self.prefix}cron:lock:{entry}"

    def cron_current(self, entry: str) -> str:
        """Newest job id of an entry."""
        return f"{self.prefix}cron:current:{entry}"

    def cron_active(self, entry: str) -> str:
        """Jobs of an entry that are not known to be terminal."""
        return f"{self.prefix}cron:active:{entry}"

    def cron_history(self, entry: str) -> str:
        """Zset of the jobs an entry made, by fire second."""
        return f"{self.prefix}cron:history:{entry}"

    def session(self, token_sha256: str) -> str:
        """Hash of one signed-in browser."""
        return f"{self.prefix}session:{token_sha256}"

    def user_sessions(self, user: str) -> str:
        """Session hashes of one user."""
        return f"{self.prefix}sessions:user:{user}"

    def login_pair(self, address: str, user: str) -> str:
        """Failed logins of one user name from one address; the name is hashed, it may be anything."""
        digest = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return f"{self.prefix}login:pair:{address}:{digest}"

    def login_address(self, address: str) -> str:
        """Failed logins from one address."""
        return f"{self.prefix}login:addr:{address}"
