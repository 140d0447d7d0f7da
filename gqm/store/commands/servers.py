"""Commands by which a server makes its queues and retention times known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gqm.store.command import Command, Word, call
from gqm.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqm.keys import Keys


def announce(keys: Keys, queues: Sequence[str], result_ttl: int, failure_ttl: int) -> Command[int]:
    """List a server's queues and store the retention (seconds) that clients without a configuration apply.

    The answer is the number of queues that were not listed before.
    """
    args: tuple[Word, ...] = (keys.prefix, result_ttl, failure_ttl, *queues)
    return call(script("announce"), (keys.queues, keys.settings), args, int)


def lease_score(keys: Keys, server_id: str) -> Command[str]:
    """Return the score of a server's lease as `reap_server` takes it; empty if it has none."""
    return Command(
        ("ZSCORE", keys.leases, server_id),
        lambda raw: raw.decode() if isinstance(raw, bytes) else str(raw or ""),
    )
