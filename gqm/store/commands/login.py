"""The command that counts logins before a password is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gqm.store.command import Command, call
from gqm.store.scripts import script

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_PAIR = 5
"""Most failed logins of one user name from one address within the window."""
MAX_ADDRESS = 30
"""Most failed logins from one address within the window."""
WINDOW_S = 300
"""Length of the window, from the first try in it."""


class Gate(NamedTuple):
    """Answer of the gate."""

    allowed: bool
    wait_s: int
    """Seconds until a further try is possible; 0 when this one is allowed."""


def login_gate(keys: Keys, address: str, user: str, mode: Literal["try", "clear"] = "try") -> Command[Gate]:
    """Count a login try and say whether the password may be checked; ``clear`` after the right one.

    Counting comes first, so that many tries at once cannot all pass; a try that is turned away does not
    count. ``clear`` forgets the pair's failures and takes this one login from the count of the address.
    """
    names = (keys.login_pair(address, user), keys.login_address(address))
    args = (keys.prefix, mode, MAX_PAIR, MAX_ADDRESS, WINDOW_S)
    return call(script("login_gate"), names, args, _gate)


def _gate(raw: Any) -> Gate:
    allowed, wait_s = raw
    return Gate(bool(allowed), wait_s)
