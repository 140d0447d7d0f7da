"""The configuration of GQM: ``gqm.yaml``, environment and code options as one checked, frozen value.

`load_config` reads a file, `parse_config` a text, `default_config` serves code without a file, and `merge`
lays options of code over any of them. All four run the same rules over the merged whole and either return a
`Config` or raise `gqm.errors.ConfigError` with every problem and its place.

Options of code travel as a mapping from dotted path to value. `code_options` makes it from the keywords of
``Server`` and ``Client``; see `gqm.config.overrides` for its four special paths::

    config = load_config("gqm.yaml", overrides=code_options(timezone="UTC", api=False))
    config = merge(config, {"pools": [{"name": "mail", "job_types": ["email.send"]}]})
"""

from __future__ import annotations

from gqm.config.durations import format_duration, parse_duration
from gqm.config.formats import is_loopback, split_host_port
from gqm.config.load import default_config, load_config, merge, parse_config, require_complete
from gqm.config.model import (
    AppConfig,
    Config,
    CronEntryConfig,
    PoolConfig,
    QueueConfig,
    RedisConfig,
    RetryConfig,
    SchedulerConfig,
    TLSConfig,
)
from gqm.config.model_http import (
    ApiConfig,
    ApiKeyConfig,
    AuthConfig,
    DashboardConfig,
    MonitoringConfig,
    UserConfig,
)
from gqm.config.overrides import INJECTED, code_options
from gqm.config.problems import Level, Place, Problem
from gqm.config.reference import reference
from gqm.config.report import CheckReport, Counts, check_report
from gqm.config.schema import json_schema
from gqm.config.template import render_template

__all__ = [
    "INJECTED",
    "ApiConfig",
    "ApiKeyConfig",
    "AppConfig",
    "AuthConfig",
    "CheckReport",
    "Config",
    "Counts",
    "CronEntryConfig",
    "DashboardConfig",
    "Level",
    "MonitoringConfig",
    "Place",
    "PoolConfig",
    "Problem",
    "QueueConfig",
    "RedisConfig",
    "RetryConfig",
    "SchedulerConfig",
    "TLSConfig",
    "UserConfig",
    "check_report",
    "code_options",
    "default_config",
    "format_duration",
    "is_loopback",
    "json_schema",
    "load_config",
    "merge",
    "parse_config",
    "parse_duration",
    "reference",
    "render_template",
    "require_complete",
    "split_host_port",
]
