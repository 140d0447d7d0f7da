"""Recovery: which servers are dead, and what becomes of the jobs they held."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gqm.engine.host import host_id, process_start
from gqm.store.commands.lease import reap_server

if TYPE_CHECKING:
    from gqm.store.commands.lease import Peer, Pulse
    from gqm.store.sync import Store

log = logging.getLogger("gqm.engine")


class Recovery:
    """Judges the servers that a heartbeat names; works in the lease's thread.

    Dead is a server whose lease has ended and that this one saw late with the same score one beat before: so
    a Redis that stood still, which made everybody late at once, kills nobody. Or one whose process is proved
    to be gone, on the same machine; then its lease need not have ended.
    """

    def __init__(self, store: Store, server_id: str, failure_ttl: int) -> None:
        self._store = store
        self._server_id = server_id
        self._failure_ttl = failure_ttl
        self._host_id = host_id()
        self._late_before: dict[str, str] = {}
        self.recovered = 0

    def judge(self, pulse: Pulse) -> None:
        """Recover the claims of every server that is dead. Raises what the store raises."""
        gone = [peer for peer in pulse.same_host if self._is_gone(peer)]
        for peer in gone:
            self._reap(peer.id, peer.score, proof=True)
        for server, score in pulse.late:
            if self._late_before.get(server) == score and float(score) * 1000 < pulse.now_ms:
                self._reap(server, score, proof=False)
        self._late_before = dict(pulse.late)

    def _is_gone(self, peer: Peer) -> bool:
        if not self._host_id or peer.host_id != self._host_id or not peer.pid or not peer.proc_start:
            return False
        return process_start(peer.pid) != peer.proc_start

    def _reap(self, server: str, score: str, *, proof: bool) -> None:
        reaped = self._store.run(reap_server(self._store.keys, server, score, proof, self._failure_ttl))
        if reaped is None:
            return
        self.recovered += reaped.recovered + reaped.dead
        log.warning(
            "server %s is lost (%s): %d jobs run again, %d went to dead_letter",
            server,
            "its process is gone" if proof else "its lease ended",
            reaped.recovered,
            reaped.dead,
            extra={"event": "server_lost", "server": server},
        )
