"""``gqm tui``: its options reach the terminal UI, and what keeps it from opening is told like everywhere."""

from __future__ import annotations

import json

import pytest

from tests.cli.helpers import Gqm

STAND_IN = """
import dataclasses, json, gqm_tui

def run(options):
    print(json.dumps({name: value and str(value) for name, value in dataclasses.asdict(options).items()}))
    return 7

gqm_tui.run = run
"""
"""Takes the place of the terminal UI in a process that finds it on its path: prints what it was told."""

WARNING = "warning: other users of this machine can see --api-key; set GQM_API_KEY, or use --api-key-file\n"
NOTHING = {
    **dict.fromkeys(("api_url", "api_key", "api_key_file", "context", "interval", "tab", "theme")),
    "read_only": False,
    "tui_config": None,
    "state_file": None,
}


def opened(gqm: Gqm, *args: str) -> tuple[dict[str, object], str]:
    """What the terminal UI is told by a command line, and what stands on stderr."""
    gqm.write("path/sitecustomize.py", STAND_IN)
    done = gqm.terminal("tui", *args, PYTHONPATH=str(gqm.folder / "path"), NO_COLOR="1")
    assert done.code == 7, done
    return json.loads(done.out), done.err


def test_without_options_everything_is_left_to_the_settings(gqm: Gqm) -> None:
    assert opened(gqm) == (NOTHING, "")


def test_every_option_is_handed_on(gqm: Gqm) -> None:
    args = "--api-url http://h:1 --api-key-file k --context c --interval 2.5 --tab cron --theme t --read-only"
    found, err = opened(gqm, *args.split(), "--tui-config", "~/x.toml")
    assert err == ""
    assert found == {
        "api_url": "http://h:1",
        "api_key": None,
        "api_key_file": "k",
        "context": "c",
        "interval": "2.5",
        "tab": "cron",
        "theme": "t",
        "read_only": "True",
        "tui_config": str(gqm.folder / "x.toml"),
        "state_file": None,
    }


@pytest.mark.fault(10)
def test_a_key_as_an_argument_works_and_warns(gqm: Gqm) -> None:
    found, err = opened(gqm, "--api-key", "gqm_ak_1")
    assert (found, err) == ({**NOTHING, "api_key": "gqm_ak_1"}, WARNING)


def test_without_a_terminal(gqm: Gqm) -> None:
    done = gqm("tui", "--api-key", "gqm_ak_1")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        'gqm: error: tui needs a terminal; for programs there are "gqm queue list --json" and the like\n'
    )


@pytest.mark.parametrize("place", ["pipe", "terminal"])
@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--interval", "soon"], "'--interval'"),
        (["--thme", "x"], 'unknown option --thme; did you mean "--theme"?'),
        (["http://h:1"], 'unexpected argument http://h:1; see "gqm tui --help"'),
    ],
)
def test_wrong_use(gqm: Gqm, place: str, args: list[str], text: str) -> None:
    done = gqm("tui", *args) if place == "pipe" else gqm.terminal("tui", *args, NO_COLOR="1")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("gqm: error: ")
    assert text in done.err
    assert done.err.count("\n") == 1


def test_all_problems_of_the_settings_are_told(gqm: Gqm) -> None:
    gqm.write("tui.toml", "intervall = 1\n[contexts.a]\nurl = 5\n")
    done = gqm.terminal("tui", "--tui-config", "tui.toml", "--tab", "crom")
    assert (done.code, done.out) == (3, "")
    first, second, third = sorted(done.err.splitlines())
    assert first.startswith("--tab: ")
    assert second.startswith("tui.toml: contexts.a.url: ")
    assert third.startswith("tui.toml: intervall: ")
    assert 'did you mean "interval"?' in third


def test_completion_knows_the_tabs(gqm: Gqm) -> None:
    done = gqm.process(COMP_WORDS="gqm tui --tab s", COMP_CWORD="3", _GQM_COMPLETE="complete_bash")
    assert (done.code, done.out.split(), done.err) == (0, ["servers"], "")
