"""The configuration that ``gqm demo`` writes into its folder; ``gqm run`` would take it as well."""

from __future__ import annotations

from hashlib import sha256

_TEXT = """\
redis:
  addr: "embedded"
  prefix: "gqm:"

app:
  handlers: ["gqm_cli.demo_jobs"]
  processes: 2
  log_level: "{log_level}"
  shutdown_timeout: "500ms"       # nobody waits for these jobs
  grace_period: "500ms"
  result_ttl: "15m"               # a demo that runs for days stays small
  failure_ttl: "1h"

queues:
  - name: "mail"
  - name: "billing"
  - name: "hooks"
  - name: "media"
  - name: "reports"
  - name: "imports"
  - name: "low"                   # paused at the start

pools:
  - name: "mail"
    job_types: ["email.send"]
    queues: ["mail", "low"]
    dequeue_strategy: "strict"
    concurrency: 10
    job_timeout: 1
    retry:
      max_retry: 2
      backoff: "exponential"
      backoff_base: 2
      backoff_max: 30
      jitter: 0.2
  - name: "billing"
    job_types: ["invoice.render", "webhook.post"]
    queues: ["billing", "hooks"]
    concurrency: 5
    job_timeout: 10
    retry:
      backoff_base: 2
  - name: "media"
    job_types: ["image.resize"]
    queues: ["media"]
    isolation: "process"          # a crash or an endless loop there costs one process, not the pool
    concurrency: 1
    job_timeout: 30
  - name: "background"
    job_types: ["*"]
    queues: ["imports", "reports", "default", "low"]
    concurrency: 8
    job_timeout: 120

scheduler:
  cron_entries:
    - id: "stats-rollup"
      name: "Add up the statistics"
      cron_expr: "*/10 * * * * *"
      job_type: "stats.rollup"
    - id: "search-reindex"
      name: "Rebuild the search index"
      cron_expr: "*/20 * * * * *"
      job_type: "search.reindex"
      overlap_policy: "replace"   # it takes 30 s, so each run is stopped for the next
    - id: "backup-nightly"
      name: "Back up the data"
      cron_expr: "0 0 2 * * *"
      job_type: "backup.nightly"
      enabled: false

monitoring:
  api:
    addr: "127.0.0.1:{port}"
    enabled: true
{keys}  dashboard:
    enabled: {dashboard}
"""

_VIEWER_KEY = """\
    api_keys:
      - name: "demo"
        key_hash: "sha256:{digest}"
        role: "viewer"
"""


def config_text(port: int, *, viewer_key: str = "", debug: bool = False) -> str:
    """Return the YAML text. With a key it is required, everybody is a viewer, and there is no dashboard."""
    keys = _VIEWER_KEY.format(digest=sha256(viewer_key.encode()).hexdigest()) if viewer_key else ""
    dashboard = "false" if viewer_key else "true"
    return _TEXT.format(port=port, keys=keys, dashboard=dashboard, log_level="debug" if debug else "info")
