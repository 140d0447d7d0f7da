"""The written forms of single texts: addresses, URLs, names, zones. Each knows its rule and its words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "API_ADDRESS",
    "CRON_ID",
    "HOST_PORT",
    "JOB_TYPE",
    "KEY_NAME",
    "MODULE",
    "NAME",
    "NETWORK",
    "PREFIX",
    "REDIS_ADDRESS",
    "REDIS_URL",
    "TIME_ZONE",
    "USER_NAME",
    "Format",
    "is_loopback",
    "is_this_machine",
    "split_host_port",
]

_HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\])"
_HOST_PORT = re.compile(rf"({_HOST}):([0-9]{{1,5}})")
_API_ADDRESS = re.compile(rf"({_HOST})?:([0-9]{{1,5}})")
_PREFIX_CHARS = "[A-Za-z0-9._:-]"
# Files of the zone database that are no IANA names: the zone of the machine, and the same zones again.
_NOT_IANA = frozenset({"localtime", "posixrules", "Factory"})
_NOT_IANA_FOLDERS = ("posix/", "right/")


@dataclass(frozen=True, slots=True)
class Format:
    """A form that a text must have. ``{value}`` in ``text`` stands for what was written.

    ``pattern`` is the form as a regular expression for the JSON schema, where there is one.
    """

    rule: str
    text: str
    accepts: Callable[[str], bool]
    pattern: str = ""
    words: str = ""


def _matching(rule: str, text: str, pattern: str, words: str) -> Format:
    compiled = re.compile(pattern)
    return Format(rule, text, lambda value: compiled.fullmatch(value) is not None, f"^(?:{pattern})$", words)


# ------------------------------------------------------------------------------------- addresses


def split_host_port(text: str) -> tuple[str, int] | None:
    """Split ``host:port``, ``[v6]:port`` or ``:port`` into bare host and port; ``None`` for anything else."""
    match = _API_ADDRESS.fullmatch(text)
    if match is None or int(match.group(2)) > 65_535:
        return None
    host = match.group(1) or ""
    if not host.startswith("["):
        return host, int(match.group(2))
    bare = host[1:-1]
    return (bare, int(match.group(2))) if _ip(bare) else None


def _is_host_port(text: str) -> bool:
    parts = split_host_port(text)
    return parts is not None and parts[0] != "" and parts[1] > 0


def _is_redis_address(text: str) -> bool:
    if text == "embedded" or _is_host_port(text):
        return True
    scheme, _, path = text.partition(":")
    if scheme == "unix":
        return path.startswith("/") and path.strip("/") != "" and "\0" not in path
    return scheme == "embedded" and path.startswith("//") and path != "//" and "\0" not in path


def _is_redis_url(text: str) -> bool:
    from urllib.parse import urlsplit  # only needed where a URL is given

    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    if "://" not in text or parts.fragment or any(char.isspace() for char in text):
        return False
    if parts.scheme == "unix":
        return parts.path not in ("", "/")
    database = parts.path.strip("/")
    return parts.scheme in ("redis", "rediss") and port != 0 and (database == "" or database.isdecimal())


def _ip(text: str) -> bool:
    from ipaddress import ip_address  # slow to import, and rarely needed

    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host is this machine only: every address that it resolves to is in 127.0.0.0/8 or is ::1.

    An empty host means all addresses, so it is not; neither is a name that does not resolve.
    """
    import socket
    from ipaddress import IPv6Address, ip_address

    if not host:
        return False
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
        addresses = [ip_address(item) for item in found]
    except (OSError, ValueError):
        return False
    return bool(addresses) and all(
        item == IPv6Address("::1") if item.version == 6 else item.is_loopback for item in addresses
    )


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine by its name alone, without asking a name server."""
    from ipaddress import ip_address

    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return _ip(host) and ip_address(host).is_loopback


def _is_network(text: str) -> bool:
    from ipaddress import ip_network

    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


# ------------------------------------------------------------------------------------- other forms


def _is_module(text: str) -> bool:
    from keyword import iskeyword

    return all(part.isidentifier() and not iskeyword(part) for part in text.split("."))


def _is_time_zone(text: str) -> bool:
    if text == "UTC":
        return True
    if text in _NOT_IANA or text.startswith(_NOT_IANA_FOLDERS):
        return False
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(text)
    except (ValueError, KeyError, OSError):
        return False
    return True


HOST_PORT = Format(
    "R15", 'not an address; use host:port, unix:/path or "embedded"', _is_host_port, words="host:port"
)
REDIS_ADDRESS = Format(
    "R15",
    HOST_PORT.text,
    _is_redis_address,
    words='host:port, [v6]:port, unix:/path, "embedded", embedded://PATH',
)
REDIS_URL = Format(
    "R17",
    "not a Redis URL; use redis://, rediss:// or unix://",
    _is_redis_url,
    words="redis://, rediss://, unix://",
)
PREFIX = _matching(
    "R21",
    "allowed: letters, digits, . _ : - and one {{tag}} in braces, at most 64 characters",
    rf"(?=.{{1,64}}$){_PREFIX_CHARS}*(?:\{{{_PREFIX_CHARS}+\}})?{_PREFIX_CHARS}*",
    "letters, digits, . _ : - and one {tag} in braces; at most 64 characters",
)
TIME_ZONE = Format(
    "R23",
    'unknown time zone "{value}"; use an IANA name such as "Asia/Jakarta"',
    _is_time_zone,
    words="IANA name",
)
MODULE = Format("R26", 'not a module name; write it like "myapp.jobs"', _is_module, words="module name")
NAME = _matching(
    "R27",
    '"{value}" is not a name; allowed: letters, digits, . _ : - and 1..128 characters',
    "[A-Za-z0-9._:-]{1,128}",
    "letters, digits, . _ : -; 1 to 128 characters",
)
JOB_TYPE = Format(
    "R27",
    NAME.text,
    lambda text: text == "*" or NAME.accepts(text),
    r"^(?:\*|[A-Za-z0-9._:-]{1,128})$",
    NAME.words,
)
CRON_ID = _matching(
    "R40",
    "not a cron id; allowed: letters, digits, . _ @ : - and 1..256 characters",
    "[A-Za-z0-9._@:-]{1,256}",
    "letters, digits, . _ @ : -; 1 to 256 characters",
)
USER_NAME = _matching(
    "R46",
    "allowed: letters, digits, . _ - (users also @), 1 to 64 characters",
    "[A-Za-z0-9._@-]{1,64}",
    "letters, digits, . _ @ -; 1 to 64 characters",
)
KEY_NAME = _matching(
    "R46", USER_NAME.text, "[A-Za-z0-9._-]{1,64}", "letters, digits, . _ -; 1 to 64 characters"
)
API_ADDRESS = Format(
    "R49",
    "not an address; use host:port or :port",
    lambda text: split_host_port(text) is not None,
    words="host:port, :port, [v6]:port; port 0 = any free one",
)
NETWORK = Format(
    "R52", "not an address or network; write 10.0.0.0/8 or 192.0.2.1", _is_network, words="addresses or CIDRs"
)
