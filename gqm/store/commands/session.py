"""Commands on the sessions of signed-in browsers, and on the last use of API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from gqm.store.command import Command, as_dict, call
from gqm.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqm.keys import Keys


class Session(NamedTuple):
    """A session as it is stored. Times are unix seconds."""

    digest: str
    """SHA-256 of the token, in hexadecimal; the token itself is stored nowhere."""
    user: str
    fingerprint: str
    """Of the password hash at the login."""
    created_at: int
    seen_at: int
    address: str
    agent: str


def open_session(
    keys: Keys,
    digest: str,
    user: str,
    fingerprint: str,
    address: str,
    agent: str,
    *,
    life_s: int,
    idle_s: int,
) -> Command[int]:
    """Store a session; the answer is when it began (unix seconds)."""
    args = (keys.prefix, life_s, idle_s, digest)
    fields = ("user", user, "fingerprint", fingerprint, "address", address, "agent", agent)
    return call(script("session_open"), (keys.session(digest), keys.user_sessions(user)), args + fields, int)


def use_session(keys: Keys, digest: str, *, life_s: int, idle_s: int) -> Command[Session | None]:
    """Read a session and keep it alive; ``None`` if it is over, or never was."""

    def read(raw: Any) -> Session | None:
        return _session(digest, raw) if raw else None

    return call(script("session_use"), (keys.session(digest),), (keys.prefix, life_s, idle_s), read)


def end_sessions(keys: Keys, user: str, digests: Sequence[str] = ()) -> Command[int]:
    """End sessions of a user, all if none is named; the answer is how many were alive."""
    return call(script("session_end"), (keys.user_sessions(user),), (keys.prefix, *digests), int)


def list_sessions(keys: Keys, user: str) -> Command[list[Session]]:
    """Read the sessions of a user, the newest first."""

    def read(raw: Any) -> list[Session]:
        words = iter(raw)
        found = [_session(digest.decode(), flat) for digest, flat in zip(words, words, strict=True)]
        return sorted(found, key=lambda item: (-item.created_at, item.digest))

    return call(script("session_list"), (keys.user_sessions(user),), (keys.prefix,), read)


def _session(digest: str, raw: Any) -> Session:
    fields = {name.decode(): value.decode("utf-8", "replace") for name, value in as_dict(raw).items()}
    times = [int(fields[name]) if fields.get(name, "").isdigit() else 0 for name in ("created_at", "seen_at")]
    words = [fields.get(name, "") for name in ("user", "fingerprint", "address", "agent")]
    return Session(digest, words[0], words[1], times[0], times[1], words[2], words[3])


class KeyUse(msgspec.Struct, frozen=True):
    """When and from where an API key was last used."""

    at: int
    """Unix seconds, to about a minute."""
    address: str


def note_key_use(keys: Keys, name: str, use: KeyUse) -> Command[int]:
    """Store the last use of a key."""
    return Command(("HSET", keys.keys_used, name, msgspec.json.encode(use)), int)


def read_key_uses(keys: Keys) -> Command[dict[str, KeyUse]]:
    """Read the last use of all keys."""

    def read(raw: Any) -> dict[str, KeyUse]:
        found = {}
        for name, text in as_dict(raw).items():
            try:
                found[name.decode("utf-8", "replace")] = msgspec.json.decode(text, type=KeyUse)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue  # of another program
        return found

    return Command(("HGETALL", keys.keys_used), read)
