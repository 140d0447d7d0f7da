"""Enqueues the traffic of ``gqm demo`` at its time, and does what an operator would have done before."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gqm.admin import Admin
from gqm.errors import GQMError, RedisSetupError, RedisUnavailable
from gqm.store.commands.cron import read_cron
from gqm.store.commands.read import is_queue
from gqm.store.connect import open_link
from gqm.store.sync import Store
from gqm_cli.connection import open_client

if TYPE_CHECKING:
    from threading import Event

    from gqm.client import Client
    from gqm.config import Config
    from gqm_cli.demo_traffic import Order

log = logging.getLogger("gqm")

_MOST_LATE_S = 2.0
"""So far behind, the rest of the traffic moves back instead of coming all at once."""
_LOOK_EVERY_S = 0.1
_AWAY_S = 1.0
_TRIGGERED = "stats-rollup"


class Feed:
    """Enqueues orders until it is told to stop. It runs in a thread of its own."""

    def __init__(self, config: Config, orders: Iterator[Order], stop: Event) -> None:
        self._config = config
        self._orders = orders
        self._stop = stop

    def run(self) -> None:
        """Enqueue the orders as their times come."""
        try:
            link = open_link(self._config.redis)
        except RedisSetupError as exc:
            log.debug("demo: nothing to feed: %s", exc)  # whoever starts the engines tells it
            return
        store = Store(link)
        operator = _Operator(store)
        try:
            with open_client(self._config) as client:
                self._run(client, operator)
        finally:
            store.close()
            if link.close is not None:
                link.close()

    def _run(self, client: Client, operator: _Operator) -> None:
        begun = time.monotonic()
        for order in self._orders:
            while (wait_s := begun + order.at_s - time.monotonic()) > 0:
                operator.go_on()
                if self._stop.wait(min(wait_s, _LOOK_EVERY_S)):
                    return
            if self._stop.is_set():
                return
            if wait_s < -_MOST_LATE_S:
                begun -= wait_s
            self._enqueue(client, order)

    def _enqueue(self, client: Client, order: Order) -> None:
        try:
            if order.delay_s:
                client.enqueue_in(order.type, order.payload, order.delay_s, **order.options)
            else:
                client.enqueue(order.type, order.payload, **order.options)
        except RedisUnavailable as exc:
            log.warning("demo: %s was not enqueued: %s", order.type, exc)
            self._stop.wait(_AWAY_S)
        except GQMError as exc:  # an import whose first jobs somebody deleted, or that is there already
            log.warning("demo: %s was not enqueued: %s", order.type, exc)


class _Operator:
    """Does a few things once, each when it is possible, so that no failure is in the audit log."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._admin = Admin(store, actor="demo")
        self._steps = [self._pause, self._trigger]

    def go_on(self) -> None:
        """Do the next thing, unless its time has not come."""
        if not self._steps:
            return
        try:
            done = self._steps[0]()
        except GQMError as exc:
            log.debug("demo: tried again: %s", exc)
            return
        if done:
            del self._steps[0]

    def _pause(self) -> bool:
        """Pause the queue ``low``, once it has a job."""
        there = self._store.run(is_queue(self._store.keys, "low"))
        if there:
            self._admin.pause("low")
        return there

    def _trigger(self) -> bool:
        """Trigger a cron entry, once a server has it, so that it has a history from the beginning."""
        table = self._store.run(read_cron(self._store.keys, [_TRIGGERED], listed=True))
        there = table.rows[0].entry is not None and not table.orphaned(table.rows[0])
        if there:
            self._admin.cron.trigger(_TRIGGERED)
        return there
