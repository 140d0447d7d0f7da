"""What the commands of operators share: Redis, who acts, and the names that they are given."""

from __future__ import annotations

import getpass
import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from gqm_cli.diagnostics import WrongUse
from gqm_cli.options import given_once

if TYPE_CHECKING:
    from gqm.admin import Admin
    from gqm.config import Config
    from gqm.store.plan import Plan
    from gqm.store.sync import Store

T = TypeVar("T")

_LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody at a shell who acts on one key space."""

    config: Config
    store: Store
    admin: Admin
    now_s: float
    """The clock of Redis when the command began, unix seconds."""

    def read(self, plan: Plan[T]) -> T:
        """Return what a plan reads."""
        from gqm.store.plan import follow

        return follow(self.store, plan)


@contextmanager
def operator(config: Config) -> Iterator[Operator]:
    """Connect to the Redis of a configuration, for actions with audit entries of ``cli:USER``.

    Raises `RedisUnavailable`, `RedisSetupError`.
    """
    from gqm.admin import Admin
    from gqm.store.commands.read import server_time
    from gqm.store.connect import open_link
    from gqm.store.sync import Store

    link = open_link(config.redis)
    store = Store(link)
    try:
        # A Redis that is away is told here, before an action begins that would have to be recorded.
        now_s = store.run(server_time(store.keys))
        admin = Admin(store, actor=actor(), source="cli", failure_ttl=int(config.app.failure_ttl_s))
        yield Operator(config, store, admin, now_s)
    finally:
        store.close()
        if link.close is not None:
            link.close()


def actor() -> str:
    """Return who acts: ``cli:`` and the user of the operating system."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user id without a name, as containers have it
        return f"cli:{os.getuid()}"


def chosen_name(what: str, argument: str | None, option: str | None) -> str:
    """Return the name that is given as an argument or as an option. Raises `WrongUse`.

    Other programs name queues as they like; only what no name can hold is refused.
    """
    name = given_once(what, argument, option)
    if not name or len(name) > _LONGEST_NAME or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        raise WrongUse(f'{what} "{name[:80]}": 1 to {_LONGEST_NAME} characters, no controls')
    return name
