"""Where the REST API of a configuration is found on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqm.config import Config

_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}


def configured_url(config: Config) -> str:
    """Return the URL that the API answers at on this machine; empty if it is off."""
    if not config.monitoring.api.enabled:
        return ""
    host, port = _bound(config)
    host = _EVERYWHERE.get(host, host)
    return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{port}"


def binds_everywhere(config: Config) -> bool:
    """Whether the API listens on every address of this machine."""
    return _bound(config)[0] in _EVERYWHERE


def _bound(config: Config) -> tuple[str, int]:
    from gqm.config import split_host_port

    return split_host_port(config.monitoring.api.addr) or ("", 8080)
