"""Who is asking: API keys, sessions, the caller's own hook, or anybody on this machine."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import threading
import time
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from gqm.errors import GQMError
from gqm.monitor.audit import write_entry
from gqm.monitor.limits import SESSION_IDLE_S
from gqm.monitor.problems import Problem
from gqm.monitor.request import Caller, Request
from gqm.store.commands.audit import AuditEntry
from gqm.store.commands.session import KeyUse, end_sessions, note_key_use, use_session

if TYPE_CHECKING:
    from gqm.monitor.backend import Backend
    from gqm.monitor.settings import Key, Settings

log = logging.getLogger("gqm.api")

_TOKEN = re.compile(r"[0-9a-f]{64}")
_NOTE_EVERY_S = 60.0
_PLAIN_COOKIE = "gqm_session"
_HOST_COOKIE = "__Host-gqm_session"


class Authenticator:
    """Finds the caller of a request."""

    def __init__(self, settings: Settings, backend: Backend) -> None:
        self._settings = settings
        self._backend = backend
        self._noted: dict[str, float] = {}
        self._lock = threading.Lock()

    def find(self, request: Request) -> Caller:
        """Return the caller. Raises `Problem` (UNAUTHORIZED), and `RedisUnavailable` for a session."""
        caller = self.look(request)
        if caller is None:
            raise _unauthorized("sign in, or send an API key")
        return caller

    def look(self, request: Request) -> Caller | None:
        """Return the caller, ``None`` if no credential was sent. Raises as `find`."""
        given = given_key(request)
        if given is not None:
            return self._by_key(request, given)
        hook = self._settings.hooks.authenticate
        if hook is not None:
            return _external(hook(request.environ))
        if self._settings.sign_in:
            return self._by_session(request)
        if self._settings.anonymous:
            return Caller("anonymous", "admin", "anonymous")
        return None

    def _by_key(self, request: Request, given: str) -> Caller:
        digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest().encode()
        found: Key | None = None
        for key in self._settings.keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(key.digest, digest):
                found = key
        if found is None:
            raise _unauthorized("the API key is not known")
        self._note(found, request.address)
        return Caller(f"apikey:{found.name}", found.role, "key")

    def _note(self, key: Key, address: str) -> None:
        now = time.monotonic()
        with self._lock:
            if now < self._noted.get(key.name, 0.0):
                return
            self._noted[key.name] = now + _NOTE_EVERY_S
        try:
            use = KeyUse(int(self._backend.now()), address)
            self._backend.run(note_key_use(self._backend.keys, key.name, use))
        except GQMError as exc:
            log.debug("last use of API key %s not stored: %s", key.name, exc)
            with self._lock:
                self._noted.pop(key.name, None)

    def _by_session(self, request: Request) -> Caller | None:
        token = self._token(request)
        if token is None:
            return None
        digest = token_digest(token)
        life_s, keys = self._settings.session_ttl_s, self._backend.keys
        session = self._backend.run(use_session(keys, digest, life_s=life_s, idle_s=self.idle_s))
        if session is None:
            return None
        user = self._settings.users.get(session.user)
        if user is None or not hmac.compare_digest(user.fingerprint, session.fingerprint):
            why = "user removed" if user is None else "password changed"
            self._revoke(request, session.user, digest, why)
            return None
        return Caller(user.name, user.role, "session", session.created_at + life_s, digest)

    def _revoke(self, request: Request, user: str, digest: str, why: str) -> None:
        """End a session whose user may not have it any more; one of its requests records that."""
        if not self._backend.run(end_sessions(self._backend.keys, user, [digest])):
            return
        entry = AuditEntry(
            actor=user,
            role="",
            source="session",
            address=request.address,
            action="auth.session_revoked",
            target=user,
            after=why,
            request_id=request.id,
        )
        write_entry(self._backend, entry)

    @property
    def idle_s(self) -> int:
        """How long a session may be unused."""
        return min(self._settings.session_ttl_s, SESSION_IDLE_S)

    def _token(self, request: Request) -> str | None:
        try:
            cookies: SimpleCookie = SimpleCookie(request.header("HTTP_COOKIE") or "")
        except CookieError:
            return None
        cookie = cookies.get(self.cookie_name(request))
        return cookie.value if cookie is not None and _TOKEN.fullmatch(cookie.value) else None

    def cookie_name(self, request: Request) -> str:
        """Return the name of the session cookie: browsers guard the long one, where they can take it."""
        return _HOST_COOKIE if self._secure(request) and not request.mount else _PLAIN_COOKIE

    def _secure(self, request: Request) -> bool:
        return self._settings.cookie_secure or request.https

    def cookie(self, request: Request, token: str) -> tuple[str, str]:
        """Return the header that sets the session cookie; an empty token clears it."""
        life_s = self._settings.session_ttl_s if token else 0
        parts = [f"{self.cookie_name(request)}={token}", f"Path={request.mount or '/'}", f"Max-Age={life_s}"]
        parts += ["HttpOnly", "SameSite=Strict", *(["Secure"] if self._secure(request) else [])]
        return ("Set-Cookie", "; ".join(parts))


def _unauthorized(text: str) -> Problem:
    return Problem("UNAUTHORIZED", text, ("WWW-Authenticate", "Bearer"))


def _external(found: tuple[str, str] | None) -> Caller | None:
    if found is None:
        return None
    name, role = found
    # Whatever role a hook invents, it is the least one unless it is known.
    return Caller(str(name), "admin" if role == "admin" else "viewer", "external")


def given_key(request: Request) -> str | None:
    """Return the API key of a request; ``None`` if it has none. A key decides alone, also an empty one."""
    key = request.header("HTTP_X_API_KEY")
    if key is not None:
        return key
    scheme, _, credential = (request.header("HTTP_AUTHORIZATION") or "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else None


def token_digest(token: str) -> str:
    """Return what a session is stored under."""
    return hashlib.sha256(token.encode()).hexdigest()
