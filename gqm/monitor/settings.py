"""What the API is told at its start: users, keys, proxies, files and hooks, in the form that it uses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from gqm.errors import ConfigError
from gqm.monitor.options import Hooks

if TYPE_CHECKING:
    from gqm.config import Config, MonitoringConfig

Role: TypeAlias = Literal["viewer", "admin"]
Network: TypeAlias = "IPv4Network | IPv6Network"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in."""

    name: str
    password_hash: bytes
    role: Role

    @property
    def fingerprint(self) -> str:
        """Changes with the password; sessions end when it does."""
        return hashlib.sha256(self.password_hash).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Key:
    """A key for programs."""

    name: str
    digest: bytes
    """SHA-256 of the key, in hexadecimal."""
    role: Role


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that does not change while the API runs."""

    sign_in: bool
    users: Mapping[str, User]
    keys: tuple[Key, ...]
    session_ttl_s: int
    rate_limit: int
    trusted: tuple[Network, ...]
    cookie_secure: bool
    metrics_public: bool
    dashboard: bool
    path_prefix: str
    custom_dir: Path | None
    priorities: Mapping[str, int]
    """Of the queues in the configuration."""
    failure_ttl_s: int
    hooks: Hooks = field(default_factory=Hooks)

    @property
    def anonymous(self) -> bool:
        """Whether everybody who reaches the API may do everything."""
        return not self.sign_in and not self.keys and self.hooks.authenticate is None


def make_settings(config: Config, hooks: Hooks) -> Settings:
    """Return the settings of a configuration. Raises `ConfigError` if nobody could ever sign in."""
    monitoring = config.monitoring
    if monitoring.auth.enabled and not monitoring.auth.users and hooks.authenticate is None:
        raise ConfigError("monitoring.auth is enabled without users; add one with: gqm set-password admin")
    api, dashboard = monitoring.api, monitoring.dashboard
    return Settings(
        sign_in=monitoring.auth.enabled and hooks.authenticate is None,
        users=_users(monitoring),
        keys=tuple(Key(key.name, key.digest.encode(), key.role) for key in api.api_keys if key.digest),
        session_ttl_s=int(monitoring.auth.session_ttl_s),
        rate_limit=api.rate_limit,
        trusted=tuple(ip_network(item, strict=False) for item in api.trusted_proxies if api.trust_proxy),
        cookie_secure=api.cookie_secure,
        metrics_public=api.metrics_public,
        dashboard=dashboard.enabled,
        path_prefix=dashboard.path_prefix,
        custom_dir=Path(dashboard.custom_dir) if dashboard.custom_dir else None,
        priorities={queue.name: queue.priority for queue in config.queues if queue.priority is not None},
        failure_ttl_s=int(config.app.failure_ttl_s),
        hooks=hooks,
    )


def _users(monitoring: MonitoringConfig) -> dict[str, User]:
    return {
        user.username: User(user.username, user.password_hash.encode(), user.role)
        for user in monitoring.auth.users
    }
