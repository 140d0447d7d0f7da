"""The file of ``gqm init``: complete, valid, and valid again after every change that it invites to."""

from __future__ import annotations

import re

import pytest

from gqm.config import Config, check_report, default_config, render_template
from gqm.config.keys import keys_of
from gqm.config.values import Section, Sections, Tls, Word
from tests.config.helpers import found, load

ADDRESSES = ["embedded", "localhost:6379", "unix:/run/redis.sock", "redis://:pw@localhost:6379/2"]
KEY_LINE = re.compile(r"^(?P<indent> *)# (?P<code>(?:- |  )?(?P<name>\w+):.*)$")


def _uncommented(line: str) -> str:
    return re.sub(r"^( *)# ", r"\1", line)


def _runs(text: str) -> list[list[int]]:
    """Return the line numbers of each run of comment lines that hold keys."""
    runs: list[list[int]] = []
    last = -2
    for number, line in enumerate(text.split("\n")):
        if KEY_LINE.match(line):
            if number != last + 1:
                runs.append([])
            runs[-1].append(number)
            last = number
    return runs


def _blocks(text: str) -> list[list[int]]:
    """Return the line numbers of each block: a commented key, or a whole commented item of a list."""
    lines = text.split("\n")
    blocks: list[list[int]] = []
    for run in _runs(text):
        for number in run:
            match = KEY_LINE.match(lines[number])
            assert match
            if match["code"].startswith("  "):
                blocks[-1].append(number)
            else:
                blocks.append([number])
    return blocks


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_template_is_clean_and_runs_at_once(address: str) -> None:
    text = render_template(address)
    config = load(text)
    assert check_report(config).lines[-1] == "0 errors, 0 incomplete, 0 warnings"
    assert address in (config.redis.addr, config.redis.url)
    api = config.monitoring.api
    assert (api.enabled, api.addr, config.monitoring.auth.enabled) == (True, "127.0.0.1:8080", False)


def test_the_template_is_embedded_unless_told_otherwise() -> None:
    assert load(render_template()).redis.embedded_folder.endswith("/.gqm")


@pytest.mark.parametrize("address", ADDRESSES)
def test_any_single_block_can_be_uncommented(address: str) -> None:
    text = render_template(address)
    blocks = [*_blocks(text), *_runs(text)]
    assert len(blocks) > 40
    for block in blocks:
        lines = text.split("\n")
        for number in block:
            lines[number] = _uncommented(lines[number])
        levels = {str(problem): problem.level for problem in found("\n".join(lines))}
        assert "error" not in levels.values(), levels
        # An example of a key has no secret yet, which is what "gqm add-api-key" is there for.
        if not any("key_hash" in lines[number] for number in block):
            assert "incomplete" not in levels.values(), levels


def _key_names(model: type) -> list[str]:
    names = []
    for name, known in keys_of(model).items():
        names.append(name)
        if isinstance(known.kind, Section | Sections):
            names += _key_names(known.kind.model)
    return names


def test_every_key_stands_in_it_once() -> None:
    text = render_template()
    shown = re.findall(r"^ *(?:# )?(?:- |  )?(\w+):", text, re.MULTILINE)
    assert shown == _key_names(Config)
    tls = keys_of(Config)["redis"].kind
    assert isinstance(tls, Section)
    kind = keys_of(tls.model)["tls"].kind
    assert isinstance(kind, Tls)
    (line,) = (line for line in text.split("\n") if "# tls:" in line)
    assert all(re.search(rf"\b{name}\b", line) for name in keys_of(kind.model))


def _word_keys(model: type, path: str = "") -> dict[str, Word]:
    found_keys: dict[str, Word] = {}
    for name, known in keys_of(model).items():
        match known.kind:
            case Section(inner):
                found_keys |= _word_keys(inner, f"{path}{name}.")
            case Sections(inner):
                found_keys |= _word_keys(inner, f"{path}{name}[].")
            case Word():
                found_keys[f"{path}{name}"] = known.kind
    return found_keys


def _nested(path: str, word: str) -> str:
    """Return a one-line file with a word at a path; lists have one item with what it needs."""
    needed = {
        "pools[]": "name: a, job_types: [x], ",
        "cron_entries[]": "id: a, job_type: x, cron_expr: '@daily', ",
        "users[]": "username: a, password_hash: '', ",
        "api_keys[]": "name: a, ",
    }
    text = f"{path.rpartition('.')[2]}: {word}"
    for part in reversed(path.split(".")[:-1]):
        name = part.removesuffix("[]")
        text = f"{name}: {{{text}}}" if name == part else f"{name}: [{{{needed[part]}{text}}}]"
    return text


@pytest.mark.parametrize(("path", "kind"), _word_keys(Config).items())
def test_every_word_that_a_comment_names_is_accepted(path: str, kind: Word) -> None:
    name = path.rpartition(".")[2]
    assert re.search(rf"{name}: \"\w+\" +# [^:]+: {', '.join(kind.words)}\b", render_template())
    for word in kind.words:
        rules = {problem.rule for problem in found(_nested(path, word)) if problem.level == "error"}
        assert rules <= {"R37"}, word  # backoff custom wants its intervals, too


def test_the_prefix_of_the_template_is_the_default() -> None:
    assert load(render_template()).redis.prefix == default_config(env={}).redis.prefix == "gqm:"


def test_commented_defaults_change_nothing() -> None:
    text = render_template()
    plain = load(text)
    for block in _blocks(text):
        lines = text.split("\n")
        (first, *_) = block
        if (
            "default none" in lines[first]
            or "default " in lines[first].partition(" # ")[2]
            or "- " in lines[first]
        ):
            continue  # shows an example
        for number in block:
            lines[number] = _uncommented(lines[number])
        assert load("\n".join(lines)) == plain, lines[first]
