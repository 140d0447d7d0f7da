"""Which Redis a command works on, and a client for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gqm_cli.diagnostics import CONFIG, CommandFailed, WrongUse
from gqm_cli.options import DEFAULT_FILE, has_password

if TYPE_CHECKING:
    from gqm.client import Client, ConnectionOptions
    from gqm.config import Config, RedisConfig

_VARIABLE = "GQM_REDIS_URL"


def chosen_config(file: str | None, redis_url: str | None) -> Config:
    """Return the configuration that says where Redis is: a file, a URL, or the environment.

    Without a word about it the file of the working folder decides, then ``GQM_REDIS_URL``. Raises `WrongUse`,
    `CommandFailed` if nothing says it, and `ConfigError`.
    """
    from gqm.config import code_options, default_config, load_config

    if redis_url is not None:
        if file is not None:
            raise WrongUse("--config and --redis-url both say where Redis is; give one of them")
        if has_password(redis_url):
            raise WrongUse(
                "--redis-url has a password in it, which would show in the process list; "
                f"set {_VARIABLE} instead"
            )
        return default_config(code_options(redis=redis_url))
    if file is None and not Path(DEFAULT_FILE).exists():
        if not os.environ.get(_VARIABLE):
            raise CommandFailed(
                f'{DEFAULT_FILE} not found; create one with "gqm init", name it with --config, '
                f"or say where Redis is with --redis-url or {_VARIABLE}",
                status=CONFIG,
                code="CONFIG_INVALID",
            )
        return default_config()
    return load_config(file or DEFAULT_FILE)


def open_client(config: Config) -> Client:
    """Return a client for the Redis of a configuration. Raises `RedisSetupError`."""
    from gqm.client import Client

    redis = config.redis
    options: ConnectionOptions = {"prefix": redis.prefix, "exact_prefix": True, "pool_size": redis.pool_size}
    if redis.url:
        return Client(redis.url, **options)
    if redis.embedded_folder:
        return Client(f"embedded://{redis.embedded_folder}", **options)
    login: ConnectionOptions = {
        **options,
        "username": redis.username,
        "password": redis.password,
        "db": redis.db,
        "tls": _tls(redis),
    }
    if redis.sentinels:
        login["sentinels"], login["master"] = redis.sentinels, redis.master
        return Client(**login)
    return Client(redis.addr, **login)


def _tls(redis: RedisConfig) -> bool | dict[str, object]:
    tls = redis.tls
    if not tls.enabled:
        return False
    files = {name: path for name, path in (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key)) if path}
    return {**files, "insecure": tls.insecure}
