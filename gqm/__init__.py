"""GQM: a Redis job queue.

Names are resolved on first use, so that a producer does not load the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqm import otel, testing
    from gqm.admin import Admin
    from gqm.client import AsyncClient, Client, Enqueued, Item
    from gqm.config import Config, load_config, parse_config
    from gqm.engine.attempt import current_job
    from gqm.engine.handlers import handler
    from gqm.engine.joblog import JobLogFilter
    from gqm.errors import (
        BatchTooLarge,
        ConfigError,
        ConfigIncomplete,
        CyclicDependency,
        DependencyNotFound,
        DuplicateJobID,
        EmbeddedServerError,
        GQMError,
        InvalidJob,
        InvalidPayload,
        InvalidQuery,
        JobFailed,
        JobNotFound,
        JobStateError,
        JobTimeout,
        PayloadTooLarge,
        QueueNotFound,
        RedisSetupError,
        RedisUnavailable,
        RegistrationError,
        Retry,
        SkipRetry,
        StoreError,
    )
    from gqm.job import Job, Status
    from gqm.protection import acknowledge_unprotected_redis
    from gqm.retry import RetryPolicy
    from gqm.server import Server

__version__ = "1.0.0"

_PLACES = {
    "gqm.admin": ("Admin",),
    "gqm.client": ("AsyncClient", "Client", "Enqueued", "Item"),
    "gqm.config": ("Config", "load_config", "parse_config"),
    "gqm.engine.attempt": ("current_job",),
    "gqm.engine.handlers": ("handler",),
    "gqm.engine.joblog": ("JobLogFilter",),
    "gqm.errors": (
        "BatchTooLarge",
        "ConfigError",
        "ConfigIncomplete",
        "CyclicDependency",
        "DependencyNotFound",
        "DuplicateJobID",
        "EmbeddedServerError",
        "GQMError",
        "InvalidJob",
        "InvalidPayload",
        "InvalidQuery",
        "JobFailed",
        "JobNotFound",
        "JobStateError",
        "JobTimeout",
        "PayloadTooLarge",
        "QueueNotFound",
        "RedisSetupError",
        "RedisUnavailable",
        "RegistrationError",
        "Retry",
        "SkipRetry",
        "StoreError",
    ),
    "gqm.job": ("Job", "Status"),
    "gqm.protection": ("acknowledge_unprotected_redis",),
    "gqm.retry": ("RetryPolicy",),
    "gqm.server": ("Server",),
}

_MODULES = ("otel", "testing")

__all__ = [
    "Admin",
    "AsyncClient",
    "BatchTooLarge",
    "Client",
    "Config",
    "ConfigError",
    "ConfigIncomplete",
    "CyclicDependency",
    "DependencyNotFound",
    "DuplicateJobID",
    "EmbeddedServerError",
    "Enqueued",
    "GQMError",
    "InvalidJob",
    "InvalidPayload",
    "InvalidQuery",
    "Item",
    "Job",
    "JobFailed",
    "JobLogFilter",
    "JobNotFound",
    "JobStateError",
    "JobTimeout",
    "PayloadTooLarge",
    "QueueNotFound",
    "RedisSetupError",
    "RedisUnavailable",
    "RegistrationError",
    "Retry",
    "RetryPolicy",
    "Server",
    "SkipRetry",
    "Status",
    "StoreError",
    "acknowledge_unprotected_redis",
    "current_job",
    "handler",
    "load_config",
    "otel",
    "parse_config",
    "testing",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        import importlib

        return importlib.import_module(f"gqm.{name}")
    for module, names in _PLACES.items():
        if name in names:
            import importlib

            value = getattr(importlib.import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'gqm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
