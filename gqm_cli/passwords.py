"""Passwords and API keys: their rules, and what is stored of them."""

from __future__ import annotations

from gqm_cli.diagnostics import CommandFailed

DEFAULT_COST = 12
"""Cost of bcrypt: each step doubles the time of a guess."""

_KEY_START = "gqm_ak_"
_KEY_BYTES = 24
_SHORTEST, _LONGEST = 8, 72  # bytes; bcrypt reads no more
_SHORTEST_KEY = 32


def hash_password(password: str, *, user: str = "", cost: int = DEFAULT_COST) -> str:
    """Return the bcrypt hash of a password. Raises `CommandFailed` naming the rule that it breaks."""
    _check(password, user)
    import bcrypt

    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def _check(password: str, user: str) -> None:
    try:
        size = len(password.encode())
    except UnicodeEncodeError:
        raise CommandFailed("the password is not UTF-8 text") from None
    if size < _SHORTEST:
        raise CommandFailed(f"the password is too short: at least {_SHORTEST} characters")
    if size > _LONGEST:
        raise CommandFailed(f"the password is too long: {size} bytes of UTF-8, at most {_LONGEST}")
    if password != password.strip():
        raise CommandFailed("the password begins or ends with a space, which gets lost when it is typed")
    if "\0" in password:
        raise CommandFailed("the password has a NUL character in it")
    if user and password == user:
        raise CommandFailed("the password is the user's name; choose another")


def new_key() -> str:
    """Make an API key: ``gqm_ak_`` and 48 random hex digits."""
    import secrets

    return _KEY_START + secrets.token_hex(_KEY_BYTES)


def check_key(key: str) -> str:
    """Return a key of somebody's own. Raises `CommandFailed` if it is short or not printable ASCII."""
    if len(key) < _SHORTEST_KEY or not (key.isascii() and key.isprintable()):
        raise CommandFailed(f"an API key needs at least {_SHORTEST_KEY} printable ASCII characters")
    return key


def hash_key(key: str) -> str:
    """Return what is stored of an API key."""
    from hashlib import sha256

    return f"sha256:{sha256(key.encode()).hexdigest()}"
