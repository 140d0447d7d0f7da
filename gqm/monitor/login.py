"""Signing in and out: the throttle, the password check, and the sessions of a user."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Annotated

import bcrypt
import msgspec

from gqm.monitor.answers import Data
from gqm.monitor.auth import token_digest
from gqm.monitor.limits import MAX_PASSWORD, MAX_USERNAME, PASSWORD_CHECKS, PASSWORD_WAIT_S
from gqm.monitor.problems import Problem
from gqm.monitor.request import Request
from gqm.store.commands.login import login_gate
from gqm.store.commands.session import end_sessions, list_sessions, open_session, read_key_uses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gqm.monitor.context import Context
    from gqm.monitor.settings import User

_BCRYPT_BYTES = 72
_DEFAULT_COST = 12


class LoginBody(msgspec.Struct, forbid_unknown_fields=True):
    """Name and password."""

    username: str
    password: str


class UserBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whose sessions; the caller's own without a name."""

    username: Annotated[str, msgspec.Meta(max_length=MAX_USERNAME)] | None = None
    """Others' sessions take an admin."""


class SessionsQuery(UserBody, forbid_unknown_fields=True):
    """Whose sessions; the caller's own without a name."""


class LoggedIn(msgspec.Struct, frozen=True):
    """A new session."""

    username: str
    role: str
    expires_at: int


class LoggedOut(msgspec.Struct, frozen=True):
    """The session has ended."""

    logged_out: bool


class Ended(msgspec.Struct, frozen=True):
    """Sessions of a user have ended."""

    username: str
    sessions: int


class Me(msgspec.Struct, frozen=True):
    """The caller."""

    username: str
    role: str
    auth: str
    expires_at: int | None


class SessionView(msgspec.Struct, frozen=True):
    """A session of a user."""

    id: str
    created_at: int
    seen_at: int
    address: str
    user_agent: str
    current: bool


class KeyView(msgspec.Struct, frozen=True):
    """An API key, without the key."""

    name: str
    role: str
    last_used_at: int | None
    last_address: str | None


class Passwords:
    """Checks passwords, a few at a time, and just as long for names that nobody has."""

    def __init__(self, users: Iterable[User]) -> None:
        self._turn = threading.BoundedSemaphore(PASSWORD_CHECKS)
        costs = [int(user.password_hash[4:6]) for user in users if user.password_hash[4:6].isdigit()]
        self._cost = max(costs, default=_DEFAULT_COST)
        self._lock = threading.Lock()
        self._dummy = b""

    def match(self, password: str, user: User | None) -> bool:
        """Check a password. Raises `Problem` (SERVER_BUSY) if too many wait."""
        if not self._turn.acquire(timeout=PASSWORD_WAIT_S):
            raise Problem("SERVER_BUSY", "too many sign-ins at once; try again")
        try:
            raw = password.encode("utf-8", "surrogatepass")
            fits = len(raw) <= _BCRYPT_BYTES and b"\0" not in raw
            hashed = user.password_hash if user is not None else self._dummy_hash()
            right = bcrypt.checkpw(raw if fits else b"-", hashed)
            return right and fits and user is not None
        except ValueError:
            return False  # a stored hash that is none
        finally:
            self._turn.release()

    def _dummy_hash(self) -> bytes:
        with self._lock:
            if not self._dummy:
                self._dummy = bcrypt.hashpw(
                    secrets.token_bytes(16).hex().encode(), bcrypt.gensalt(self._cost)
                )
            return self._dummy

    def warm_up(self) -> None:
        """Make the hash for unknown names now, so that the first of them takes no longer than others."""
        self._dummy_hash()


def log_in(context: Context, request: Request) -> Data:
    """Sign a browser in."""
    settings, backend = context.settings, context.backend
    if not settings.sign_in:
        raise Problem("AUTH_DISABLED", "there is no sign-in here: auth.enabled is false")
    body: LoginBody = request.params
    name = body.username
    request.note.action, request.note.target = "auth.login_failed", name[:MAX_USERNAME]
    request.note.actor = name[:MAX_USERNAME]
    if len(name) > MAX_USERNAME or len(body.password.encode("utf-8", "surrogatepass")) > MAX_PASSWORD:
        request.note.skip = True
        raise Problem(
            "BAD_REQUEST",
            f"username takes {MAX_USERNAME} characters, password {MAX_PASSWORD} bytes at most",
        )
    gate = backend.run(login_gate(backend.keys, request.address, name))
    if not gate.allowed:
        wait_s = str(max(1, gate.wait_s))
        raise Problem("LOGIN_THROTTLED", f"too many failures; wait {wait_s} s", ("Retry-After", wait_s))
    user = settings.users.get(name)
    if not context.passwords.match(body.password, user) or user is None:
        context.metrics.login_failed()
        raise Problem("UNAUTHORIZED", "wrong username or password", ("WWW-Authenticate", "Bearer"))
    backend.run(login_gate(backend.keys, request.address, name, "clear"))
    token = secrets.token_hex(32)
    agent = (request.header("HTTP_USER_AGENT") or "")[:256]
    opened = backend.run(
        open_session(
            backend.keys,
            token_digest(token),
            user.name,
            user.fingerprint,
            request.address,
            agent,
            life_s=settings.session_ttl_s,
            idle_s=context.auth.idle_s,
        )
    )
    request.note.action = "auth.login"
    data = LoggedIn(user.name, user.role, opened + settings.session_ttl_s)
    return Data(data, headers=(context.auth.cookie(request, token),))


def log_out(context: Context, request: Request) -> Data:
    """End the session of the caller."""
    caller = request.who
    request.note.target = caller.name
    context.backend.run(end_sessions(context.backend.keys, caller.name, [caller.session]))
    return Data(LoggedOut(True), headers=(context.auth.cookie(request, ""),))


def log_out_all(context: Context, request: Request) -> Data:
    """End all sessions of a user."""
    caller = request.who
    name = _whose(context, request)
    request.note.target = name
    ended = context.backend.run(end_sessions(context.backend.keys, name))
    request.note.count = ended
    own = (context.auth.cookie(request, ""),) if name == caller.name else ()
    return Data(Ended(name, ended), headers=own)


def _whose(context: Context, request: Request) -> str:
    caller = request.who
    params: UserBody = request.params
    name = caller.name if params.username is None else params.username
    if name != caller.name:
        if caller.role != "admin":
            raise Problem("FORBIDDEN", "only an admin may see or end the sessions of others")
        if name not in context.settings.users:
            raise Problem("NOT_FOUND", f"there is no user {name!r}")
    return name


def me(context: Context, request: Request) -> Data:
    """Tell the caller who they are."""
    caller = request.who
    return Data(Me(caller.name, caller.role, caller.source, caller.expires_at))


def sessions(context: Context, request: Request) -> Data:
    """List the sessions of a user."""
    name = _whose(context, request)
    found = context.backend.run(list_sessions(context.backend.keys, name))
    data = [
        SessionView(
            item.digest[:8],
            item.created_at,
            item.seen_at,
            item.address,
            item.agent,
            item.digest == request.who.session,
        )
        for item in found
    ]
    return Data(data)


def keys(context: Context, request: Request) -> Data:
    """List the API keys and their last use; never the keys."""
    uses = context.backend.run(read_key_uses(context.backend.keys))
    data = []
    for key in context.settings.keys:
        use = uses.get(key.name)
        at, address = (use.at, use.address) if use else (None, None)
        data.append(KeyView(key.name, key.role, at, address))
    return Data(data)
