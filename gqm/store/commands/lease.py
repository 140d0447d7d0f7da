"""Commands by which servers say that they live, and by which claims of dead ones are recovered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from gqm.store.command import Command, Word, call, optional, texts
from gqm.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gqm.keys import Keys
    from gqm.store.commands.claim import Claim

MAX_REAP_QUEUES = 20
"""Most queues of one reap_overdue call."""
MAX_REAP = 100
"""Most recoveries and removals of one reap_overdue call."""
DEADLINE_PASSED = "worker lost: deadline passed"
"""Error text of a job whose claim was overdue."""


# ------------------------------------------------------------------------------------ being alive


@dataclass(frozen=True, slots=True)
class Beat:
    """What a server says with one heartbeat. `last_heartbeat` and `started_at` are added by the script."""

    server_id: str
    lease_ms: int
    """``lease_ttl``. The lease ends 0.8 of it after the beat."""
    server_fields: Mapping[str, str | int]
    pools: Sequence[tuple[str, Mapping[str, str | int]]]
    """Worker id (``{pool}@{server id}``) and fields of each pool."""
    active: Sequence[tuple[str, str]]
    """Job id and token of all claims that the process answers for: waiting to start, running, and finished
    but not settled. A claim that is missing here for 10 s after it was made goes back to its queue."""
    uptime_s: int = 0
    """Age of the server by its monotonic clock, from which `started_at` is told where it is not stored."""


class Peer(NamedTuple):
    """Another server on this host, for the proof that its process is gone."""

    id: str
    score: str
    """Score of its lease, to be handed to `reap_server` as it is."""
    host_id: str
    pid: int
    """0 when it gave none."""
    proc_start: str


class Pulse(NamedTuple):
    """Answer of a heartbeat."""

    lease_was_lost: bool
    """There was no lease: this is the first beat, or others have recovered the claims."""
    lost: list[tuple[str, str]]
    """Job id and token of the active claims that are not held any more; their handlers must stop."""
    returned: list[str]
    """Jobs that went back to their queues because the process did not list them."""
    late: list[tuple[str, str]]
    """Server id and score of the other servers that have less than 0.4 of a lease left."""
    same_host: list[Peer]
    now_ms: int
    """The server's clock, unix milliseconds. A lease has ended when its score (seconds) is below this."""


def heartbeat(keys: Keys, beat: Beat) -> Command[Pulse]:
    """Renew a server's lease and records; the first beat registers it. Up to about 1000 active claims."""
    args: list[Word] = [keys.prefix, beat.server_id, beat.lease_ms, beat.uptime_s]
    args += _fields(beat.server_fields)
    for worker_id, fields in beat.pools:
        args.append(worker_id)
        args += _fields(fields)
    for pair in beat.active:
        args += pair
    names = (
        keys.leases,
        keys.claims(beat.server_id),
        keys.server(beat.server_id),
        keys.servers,
        keys.workers,
        *(keys.worker(worker_id) for worker_id, _ in beat.pools),
    )
    return call(script("heartbeat"), names, tuple(args), _pulse)


def _fields(fields: Mapping[str, str | int]) -> list[Word]:
    words: list[Word] = [2 * len(fields)]
    for pair in fields.items():
        words += pair
    return words


def _pulse(raw: Any) -> Pulse:
    new, lost, returned, late, same_host, now_ms = raw
    peers = iter(texts(same_host))
    return Pulse(
        bool(new),
        _pairs(lost),
        texts(returned),
        _pairs(late),
        [
            Peer(name, score, host, int(pid) if pid.isdecimal() and len(pid) < 10 else 0, start)
            for name, score, host, pid, start in zip(peers, peers, peers, peers, peers, strict=True)
        ],
        now_ms,
    )


def leave(keys: Keys, server_id: str, worker_ids: Sequence[str], failure_ttl: int | None) -> Command[int]:
    """Take a server that stops out of all registries.

    The answer is the number of claims that were left over and have been recovered: 0 after a clean stop.
    """
    names = (
        keys.leases,
        keys.claims(server_id),
        keys.server(server_id),
        keys.servers,
        keys.workers,
        *(keys.worker(worker_id) for worker_id in worker_ids),
    )
    args = (keys.prefix, server_id, lease_ended(server_id), optional(failure_ttl), *worker_ids)
    return call(script("leave"), names, args, lambda raw: int(raw[0] + raw[1]))


def progress(keys: Keys, claim: Claim, raw_json: bytes) -> Command[bool]:
    """Store a progress entry of a running job; False when the claim is not held any more."""
    args = (keys.prefix, claim.token, claim.worker_id, raw_json)
    return call(script("progress"), (keys.job(claim.id),), args, bool)


# ------------------------------------------------------------------------------- recovering claims


class Reaped(NamedTuple):
    """What was recovered of a dead server."""

    recovered: int
    """Jobs that run again."""
    dead: int
    """Jobs whose budget was spent; their children have been told."""
    stale: int
    """Claim records that no job stood behind any more."""
    broken: list[str]
    """Keys of a wrong Redis type; the claims of their queues are still to be recovered."""


def reap_server(
    keys: Keys, server_id: str, score: str, proof: bool, failure_ttl: int | None
) -> Command[Reaped | None]:
    """Recover all claims of a dead server; None = it renewed its lease or its score has not passed yet.

    ``score`` is that of its lease as observed, empty for a server without a lease. ``proof`` says that its
    process is known to be gone: then the score need not have passed.
    """
    args = (keys.prefix, server_id, score, int(proof), lease_ended(server_id), optional(failure_ttl))
    return call(script("reap_server"), (keys.leases, keys.claims(server_id)), args, _reaped)


def _reaped(raw: Any) -> Reaped | None:
    return None if raw is None else Reaped(raw[0], raw[1], raw[2], texts(raw[3]))


class Overdue(NamedTuple):
    """Answer of one reap_overdue call."""

    recovered: int
    """Jobs that run again."""
    dead: int
    """Jobs whose budget was spent; their children have been told."""
    removed: int
    """Ids without a running job behind them."""
    unleased: list[str]
    """Servers that hold claims and have no lease: to be handed to `reap_server`, with an empty score."""
    more: bool
    """Whether another call would find more at once."""
    broken: list[str]
    """Keys of a wrong Redis type; their queues were left out."""


def reap_overdue(
    keys: Keys, queues: Sequence[str], slack_s: float, failure_ttl: int | None
) -> Command[Overdue]:
    """Recover claims of up to 20 queues that no lease answers for, ``slack_s`` after their deadline."""
    args = (keys.prefix, int(slack_s * 1000), MAX_REAP, DEADLINE_PASSED, optional(failure_ttl), *queues)
    names = tuple(keys.processing(queue) for queue in queues)
    return call(script("reap_overdue"), names, args, _overdue)


def _overdue(raw: Any) -> Overdue:
    return Overdue(raw[0], raw[1], raw[2], texts(raw[3]), bool(raw[4]), texts(raw[5]))


def lease_ended(server_id: str) -> str:
    """Text that a job gets as its error when its server is lost."""
    return f"worker lost: lease of {server_id} ended"


def _pairs(raw: list[bytes]) -> list[tuple[str, str]]:
    words = iter(texts(raw))
    return list(zip(words, words, strict=True))
