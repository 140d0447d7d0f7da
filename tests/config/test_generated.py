"""The generated files are current, and the JSON schema agrees with the loader."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from gqm.config import json_schema, reference, render_template
from gqm.config.__main__ import main
from gqm.config.generated import generated_files
from gqm.config.keys import keys_of
from gqm.config.model import Config
from gqm.config.overrides import option_paths
from gqm.config.values import Section, Sections, Tls
from tests.config.helpers import SAMPLE, cases, load

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["docs/gqm.schema.json", "docs/configuration.md"])
def test_generated_files_are_current(name: str) -> None:
    assert (ROOT / name).read_text() == generated_files()[name], "run: python -m gqm.config"


def test_writing_them_again_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    assert capsys.readouterr().out == ""


def _errors(text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(json_schema())
    return [error.message for error in validator.iter_errors(yaml.safe_load(text))]


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_schema_accepts_what_the_loader_accepts() -> None:
    variants = [
        SAMPLE.read_text(),
        render_template(),
        "",
        "redis: ~\npools:\n",
        "app: {processes: '${N:-1}', log_level: WARN, grace_period: 1m30s, timezone: ''}",
        "redis: {addr: 'localhost:1', tls: {insecure: yes}, exact_prefix: no}",
        "pools: [{name: 5, job_types: ['*'], retry: {jitter: 0.5, intervals: [1, 2m]}}]",
        "scheduler: {cron_entries: [{id: a, job_type: x, cron_expr: '@daily', payload: {a: 1}}]}",
        "monitoring: {api: {rate_limit: -1, trusted_proxies: [10.0.0.0/8]}}",
    ]
    for text in variants:
        load(text, env={})
        assert _errors(text) == []


SEEN_BY_THE_SCHEMA = {"R7", "R8", "R9", "R12", "R13", "R14", "R21", "R25", "R27", "R40", "R46"}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (rule, text)
        for rule, text, _ in cases("broken.txt")
        # What only the loader sees: quoting and spelling of numbers, the unit behind a duration, merge keys.
        if rule in SEEN_BY_THE_SCHEMA
        and not any(
            part in text for part in ("0x10", "010", "<<", "? [", "'true'", "1s}", "25h", "''", "-1s")
        )
    ],
)
def test_the_schema_refuses_what_it_can_see(rule: str, text: str) -> None:
    assert _errors(text), rule


def _paths(model: type, path: str) -> list[str]:
    found = []
    for name, known in keys_of(model).items():
        if isinstance(known.kind, Section | Sections | Tls):
            found += _paths(known.kind.model, f"{path}{name}.")
        else:
            found.append(name)
    return found


def test_the_reference_names_every_key_and_option() -> None:
    text = reference()
    for name in (*_paths(Config, ""), *option_paths()):
        assert f"| `{name}` |" in text
