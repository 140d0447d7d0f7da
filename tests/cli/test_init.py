"""``gqm init``: what it writes, and what it refuses."""

from __future__ import annotations

import os
import re
import stat

import pytest

from gqm.config import parse_config, render_template
from tests.cli.helpers import Gqm

NEXT = """\
Next:
  1. Write a handler, such as this in jobs.py, and set app.handlers to ["jobs"]:
       import gqm

       @gqm.handler("hello")
       def hello(job: gqm.Job) -> None:
           print("hello", job.payload.get("name"))
  2. gqm run
  3. gqm tui
For other machines: run "gqm set-password admin", then change api.addr.
"""


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_it_writes_the_template_for_its_owner_alone(gqm: Gqm, place: str) -> None:
    before = os.umask(0)
    try:
        done = gqm("init") if place == "pipe" else gqm.terminal("init")
    finally:
        os.umask(before)
    assert (done.code, done.out, done.err) == (0, "", f"created gqm.yaml\n{NEXT}")
    path = gqm.folder / "gqm.yaml"
    assert path.read_text() == render_template()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_it_writes_is_a_clean_configuration(gqm: Gqm) -> None:
    gqm("init")
    done = gqm("check")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "gqm.yaml: 1 pool, 0 queues, 0 cron entries, API 127.0.0.1:8080\n0 errors, 0 incomplete, 0 warnings\n"
    )


@pytest.mark.fault(8)
def test_the_template_and_the_library_use_the_same_keys(gqm: Gqm) -> None:
    template = parse_config(gqm("init", "--stdout").out, env={})
    assert template.redis.prefix == parse_config("", env={}).redis.prefix == "gqm:"


def test_an_existing_file_is_never_overwritten(gqm: Gqm) -> None:
    path = gqm.write("gqm.yaml", "precious")
    done = gqm("init")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "gqm: error: gqm.yaml exists already and is not overwritten; choose another name with --config\n"
    )
    assert path.read_text() == "precious"


def test_a_dangling_link_is_not_written_through(gqm: Gqm) -> None:
    (gqm.folder / "gqm.yaml").symlink_to(gqm.folder / "elsewhere")
    assert gqm("init").code == 1
    assert not (gqm.folder / "elsewhere").exists()


def test_another_name_is_in_the_next_steps(gqm: Gqm) -> None:
    done = gqm("init", "-c", "my jobs.yaml")
    assert done.err.startswith("created my jobs.yaml\n")
    assert "  2. gqm run -c 'my jobs.yaml'\n" in done.err
    assert """run "gqm set-password admin -c 'my jobs.yaml'", then""" in done.err
    assert (gqm.folder / "my jobs.yaml").exists()


def test_to_stdout_nothing_is_written(gqm: Gqm) -> None:
    done = gqm("init", "--stdout")
    assert (done.code, done.out, done.err) == (0, render_template(), "")
    assert list(gqm.folder.iterdir()) == []


@pytest.mark.parametrize(
    "address", ["localhost:6379", "[::1]:6379", "unix:/run/redis.sock", "rediss://db:6380/2", "embedded"]
)
def test_the_address_is_the_one_given(gqm: Gqm, address: str) -> None:
    text = gqm("init", "--stdout", "--redis", address).out
    redis = parse_config(text, env={}).redis
    assert address in (redis.addr, redis.url)


def test_a_bad_address_is_wrong_use(gqm: Gqm) -> None:
    done = gqm("init", "--redis", "localhost")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        'gqm: error: --redis "localhost": not an address; use host:port, unix:/path or "embedded"\n'
    )
    assert list(gqm.folder.iterdir()) == []


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    "url", ["redis://:s3cret@db:6379", "redis://u:s3cret@db/1", "redis://db?password=s3cret"]
)
def test_a_password_in_the_url_is_refused_and_not_repeated(gqm: Gqm, url: str) -> None:
    done = gqm("init", "--redis", url)
    assert done.code == 2
    assert "s3cret" not in done.err + done.out
    assert "${REDIS_URL}" in done.err
    assert list(gqm.folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(gqm: Gqm) -> None:
    done = gqm("init", "-c", "no/such/gqm.yaml")
    assert (done.code, done.err) == (1, "gqm: error: no/such/gqm.yaml: no such file or directory\n")


def test_a_full_disk_leaves_no_file(gqm: Gqm, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gqm_cli.init.os.fsync", full)
    done = gqm("init")
    assert (done.code, done.err) == (1, "gqm: error: no space left on device\n")
    assert list(gqm.folder.iterdir()) == []


_CHOICE = re.compile(r"^(?P<before> *)(?:# )?(?P<key>(?:- |  )?\w+: )(?P<value>\S.*?) +# (?P<comment>.*)$")
_WORDS = re.compile(r": (\w+(?:, \w+)+)(?:;|$)")
_RANGE = re.compile(r"\((-?[0-9]\w*) to (-?[0-9]\w*)(?:, or (-?[0-9]+) .*)?\)")
_NUMBER = re.compile(r"(?<![\w.])(-?[0-9]+) = ")


def named(comment: str) -> list[str]:
    """The values that a comment of the template names: words, ends of a range, numbers with a meaning."""
    words = [word for found in _WORDS.findall(comment) for word in found.split(", ")]
    return (
        words + [end for found in _RANGE.findall(comment) for end in found if end] + _NUMBER.findall(comment)
    )


@pytest.mark.fault(7)
def test_every_value_that_a_comment_names_is_accepted(gqm: Gqm) -> None:
    lines = gqm("init", "--stdout", "--redis", "localhost:6379").out.split("\n")
    tried = 0
    for number, line in enumerate(lines):
        match = _CHOICE.match(line)
        for value in named(match["comment"]) if match else ():
            assert match
            changed = [*lines]
            changed[number] = f"{match['before']}{match['key']}{value}"
            if value == "custom":
                changed[number] += f'\n{match["before"]}intervals: ["10s"]'
            _uncomment_item(changed, number)
            gqm.write("changed.yaml", "\n".join(changed))
            done = gqm("check", "changed.yaml")
            # A key without a secret is incomplete, which says nothing about its role.
            assert done.out.splitlines()[-1].startswith("0 errors, "), (line, value, done.out)
            tried += 1
    assert tried > 50


def _uncomment_item(lines: list[str], number: int) -> None:
    """Take the marks away from the rest of the list item that a line is in, if that is a comment."""
    if not re.match(r" *- |   ", lines[number].replace("# ", "")):
        return
    for step in (-1, 1):
        at = number + step
        while re.match(r" +# (  |- )\w+:", lines[at]):
            lines[at] = lines[at].replace("# ", "", 1)
            at += step
