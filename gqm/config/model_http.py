# ruff: noqa: RUF009 - the calls declare fields, as dataclasses.field does
"""The part of the configuration about HTTP: users, API keys, REST API, dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from gqm.config import formats
from gqm.config.keys import declare, section, sections
from gqm.config.values import Bool, Duration, ListOf, RateLimit, Text, Word

__all__ = [
    "ApiConfig",
    "ApiKeyConfig",
    "AuthConfig",
    "DashboardConfig",
    "MonitoringConfig",
    "Role",
    "UserConfig",
]

Role: TypeAlias = Literal["admin", "viewer"]

_DAY_S = 86_400.0
_ROLES = ("admin", "viewer")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """Somebody who may sign in to the dashboard and the API."""

    username: str = declare(
        "", Text(formats.USER_NAME), "name to sign in with", required=True, sample='"admin"'
    )
    password_hash: str = declare(
        "",
        Text(),
        'bcrypt hash; "gqm set-password admin" fills in an empty one',
        required=True,
        empty_counts=True,
        secret=True,
        sample='""',
    )
    role: Role = declare("viewer", Word(_ROLES), "what the user may do", sample='"admin"')


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """Users and sessions."""

    enabled: bool = declare(False, Bool(), "sign-in with user and password", active=True)
    session_ttl_s: float = declare(_DAY_S, Duration(60, 365 * _DAY_S), "longest life of a session")
    users: tuple[UserConfig, ...] = sections(UserConfig, "who may sign in")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyConfig:
    """A key for programs. ``key`` is clear text, ``key_hash`` its SHA-256; only one of them is filled."""

    name: str = declare("", Text(formats.KEY_NAME), "name of the key", required=True, sample='"grafana"')
    key: str = declare(
        "", Text(), "the key itself, 32 characters or more; key_hash is safer", empty_counts=True, secret=True
    )
    key_hash: str = declare(
        "",
        Text(),
        'SHA-256 of the key; "gqm add-api-key grafana" fills in an empty one',
        empty_counts=True,
        secret=True,
    )
    role: Role = declare("viewer", Word(_ROLES), "what the key may do")

    @property
    def digest(self) -> str:
        """The SHA-256 of the key in lower-case hex; empty while there is no key."""
        if not self.key:
            return self.key_hash.removeprefix("sha256:")
        from hashlib import sha256

        return sha256(self.key.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """The REST API."""

    enabled: bool = declare(
        False, Bool(), "serve the REST API; dashboard.enabled turns it on too", sample="true", active=True
    )
    addr: str = declare(
        ":8080",
        Text(formats.API_ADDRESS),
        "where it listens",
        sample='"127.0.0.1:8080"',
        active=True,
    )
    rate_limit: int = declare(100, RateLimit(), "requests per second and client, twice that in a burst")
    trust_proxy: bool = declare(False, Bool(), "take the client's address from trusted_proxies' headers")
    trusted_proxies: tuple[str, ...] = declare(
        (), ListOf(Text(formats.NETWORK)), 'proxies to believe, such as ["10.0.0.0/8"]'
    )
    cookie_secure: bool = declare(False, Bool(), "send the session cookie over https only")
    metrics_public: bool = declare(False, Bool(), "serve /metrics without a key")
    api_keys: tuple[ApiKeyConfig, ...] = sections(ApiKeyConfig, "keys for programs")


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardConfig:
    """The web dashboard. ``custom_dir`` is absolute, or empty for the built-in files."""

    enabled: bool = declare(False, Bool(), "serve the web dashboard", sample="true", active=True)
    path_prefix: str = declare("/dashboard", Text(), "path of the dashboard")
    custom_dir: str = declare(
        "", Text(), "folder with an index.html to serve instead", unset="built-in files"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringConfig:
    """What people and programs see of the server over HTTP. It is checked also with the API off."""

    auth: AuthConfig = section(AuthConfig, "users and sessions")
    api: ApiConfig = section(ApiConfig, "the REST API")
    dashboard: DashboardConfig = section(DashboardConfig, "the web dashboard")

    @property
    def anonymous(self) -> bool:
        """Whether everybody who reaches the API may do everything; then it listens on loopback only."""
        return not self.auth.enabled and not any(item.digest for item in self.api.api_keys)
