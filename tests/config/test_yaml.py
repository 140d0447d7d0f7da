"""YAML itself: anchors, merge keys, quoting, line ends; and that no text can do harm."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gqm.config import Config, Problem, parse_config
from gqm.config import yaml_text as module
from gqm.config.keys import keys_of
from gqm.errors import ConfigError
from tests.config.helpers import SAMPLE, found, lines, load

MERGED = """\
pools:
  - &base
    name: a
    job_types: [x]
    concurrency: 5
    retry: &retry {max_retry: 7}
  - <<: *base
    name: b
    job_types: [y]
    retry:
      <<: *retry
      jitter: 1
"""


def test_anchors_and_merge_keys() -> None:
    first, second = load(MERGED).pools
    assert (first.name, first.concurrency, first.retry.max_retry) == ("a", 5, 7)
    assert (second.name, second.job_types, second.concurrency) == ("b", ("y",), 5)
    assert (second.retry.max_retry, second.retry.jitter) == (7, 1)


def test_several_merged_mappings_the_first_wins() -> None:
    text = "x1: &a {processes: 2}\nx2: &b {processes: 3, log_level: warn}\napp:\n  <<: [*a, *b]\n"
    assert {line.partition(": unknown")[0] for line in lines(text)} == {"1:1: x1", "2:1: x2"}
    merged = "redis: {tls: &a {insecure: yes}, addr: 'localhost:1'}\n"
    assert load(merged).redis.tls.insecure is True


def test_a_problem_in_an_anchor_is_at_the_anchor() -> None:
    text = MERGED.replace("concurrency: 5", "concurrency: 5000")
    assert lines(text) == [
        "5:18: pools[0].concurrency: 5000 is out of range (0 to 1000)",
        "5:18: pools[1].concurrency: 5000 is out of range (0 to 1000)",
    ]


def test_a_merge_key_in_quotes_is_a_key() -> None:
    assert lines("app: {'<<': 1}")[0].startswith("1:7: app.<<: unknown key (")


def test_a_merge_key_twice_is_a_key_twice() -> None:
    text = "pools: [&a {name: a, job_types: [x]}, {<<: *a, name: b, job_types: [y], <<: *a}]"
    assert lines(text) == ["1:73: pools[1].<<: key given twice; first on line 1"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    assert lines(end.join(["redis:", "  prefix: 'a b'", ""])) == [
        "2:11: redis.prefix: allowed: letters, digits, . _ : - and one {tag} in braces, at most 64 characters"
    ]


def test_columns_count_characters() -> None:
    assert lines("app: {timezone: UTC, 'é€𝄞': 1}")[0].startswith("1:22: app.é€𝄞: unknown key (")


def test_directives_and_document_marks() -> None:
    assert load("%YAML 1.1\n---\napp: {processes: 2}\n...\n").app.processes == 2
    assert [item.rule for item in found("app: {}\n...\n---\napp: {}")] == ["R4"]


def test_block_scalars_are_text() -> None:
    entry = (
        "    - id: a\n      job_type: x\n      cron_expr: '@daily'\n      payload: |\n        {\"a\": 1}\n"
    )
    config = load(f"scheduler:\n  cron_entries:\n{entry}")
    assert config.scheduler.cron_entries[0].payload == {"a": 1}


@pytest.mark.parametrize(
    "text", [SAMPLE.read_text(), MERGED, "app: {processes: x}\n---\n", "? {a: b}\n: 1", "- a", "a: !x b"]
)
def test_without_the_c_library_all_is_the_same(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    fast = lines(text)
    monkeypatch.setattr(module.yaml, "CSafeLoader", yaml.SafeLoader)
    assert lines(text) == fast


def test_without_the_c_library_broken_syntax_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.yaml, "CSafeLoader", yaml.SafeLoader)
    assert [item.rule for item in found("a: [1, 2")] == ["R3"]


# ------------------------------------------------------------------------------------- any text


def _outcome(text: str) -> None:
    """Load a text; anything but a configuration or its error is a fault of ours."""
    problems: tuple[object, ...] = ("refused without a reason",)
    try:
        config = parse_config(text, env={"A": "x", "N": "5", "E": ""})
        problems = (*config.incomplete, *config.warnings)
    except ConfigError as error:
        problems = error.problems or problems
    for problem in problems:
        assert isinstance(problem, Problem)
        assert str(problem).isprintable()


@settings(deadline=None)
@given(st.text(st.characters(codec=None), max_size=200))
def test_any_text_loads_or_is_refused(text: str) -> None:
    _outcome(text)


def _names(model: type) -> set[str]:
    found = set()
    for name, known in keys_of(model).items():
        found.add(name)
        inner = getattr(known.kind, "model", None)
        if inner is not None:
            found |= _names(inner)
    return found


_NAMES = sorted(_names(Config))
_SCALARS = st.sampled_from(
    [
        *(
            "",
            "~",
            "0",
            "-1",
            "5",
            "1.5",
            ".inf",
            "yes",
            "no",
            "30s",
            "-5s",
            "1e9999",
            "9" * 400,
            "2026-01-01",
        ),
        *("*", "'*'", "a", "'a b'", "default", "custom", "admin", "UTC", "Asia", "/api", "/dashboard", "''"),
        *("${A}", "'${N}'", "'${E}'", "'${'", "'${X}'", "'@daily'", "'* * * * *'", "'0 0 31 2 *'", "':0'"),
        *("embedded", "'localhost:1'", "'redis://u:p@h:1/0'", "'redis://[h'", "'{\"a\": [1]}'", "'['"),
        *("!!str 5", "!x 5", "&a b", "*a", '"\\0"', '"\\ud800"'),
    ]
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(st.sampled_from([*_NAMES, "<<", "x"]), inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{name}: {value}" for name, value in pairs) + "}"
        ),
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(keys_of(Config))), _VALUES), max_size=4))
def test_any_tree_of_known_keys_loads_or_is_refused(sections: list[tuple[str, str]]) -> None:
    _outcome("".join(f"{name}: {value}\n" for name, value in sections))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_sample_with_a_part_replaced_loads_or_is_refused(data: st.DataObject) -> None:
    text = SAMPLE.read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    _outcome(text[:start] + data.draw(st.one_of(_SCALARS, st.text(max_size=10))) + text[end:])


def test_the_package_imports_no_yaml_without_a_file() -> None:
    code = (
        "import sys, gqm.config as c; c.default_config(env={}); "
        "print(sorted({'yaml', 'redis', 'croniter', 'bcrypt'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
