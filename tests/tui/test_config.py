"""The configuration of the terminal UI: every problem at once, who beats whom, and where a key may go."""

import os
import sys
from pathlib import Path

import pytest

from gqm_tui.core import credentials
from gqm_tui.core.config import INTERVALS, Settings, SettingsError, Slo, load, step_interval
from gqm_tui.core.contexts import open_url
from gqm_tui.core.credentials import KeySource, KeyUnavailableError, read_key
from gqm_tui.core.keycheck import check_keymap, key_name
from gqm_tui.core.state import State
from gqm_tui.options import RunOptions

FULL = """
interval = 2
default_tab = "failed"
theme = "nord"
time = "local"
glyphs = "ascii"
failed_view = "flat"
[keymap]
"queues.pause" = "P"
[contexts.prod-eu]
url = "https://q.example:8080/"
ca_file = "ca.pem"
api_key_cmd = "pass show 'q/prod eu'"
production = true
[contexts.lab]
url = "http://lab:8080"
read_only = true
[slo.billing]
oldest = "5m"
fail_rate = 0.02
[slo.low]
oldest = 90
[redact]
keys = ["iban"]
[views.timeouts]
tab = "failed"
filter = "error:Timeout"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "gqm").mkdir()
    return tmp_path


def read(
    home: Path,
    text: str = "",
    *,
    state: State | None = None,
    env: dict[str, str] | None = None,
    **flags: object,
) -> Settings:
    if text:
        (home / "gqm" / "tui.toml").write_text(text, "utf-8")
    options = RunOptions(**flags)  # type: ignore[arg-type]  # any flag of the test's choice
    return load(options, state, {"XDG_CONFIG_HOME": str(home), **(env or {})})


def problems(home: Path, text: str = "", **rest: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(home, text, **rest)  # type: ignore[arg-type]
    name = str(home / "gqm" / "tui.toml")
    return [str(problem).replace(name, "tui.toml") for problem in caught.value.problems]


def test_nothing_given_is_the_api_of_this_machine(home: Path) -> None:
    settings = read(home)
    assert settings.context.url == "http://127.0.0.1:8080"
    assert settings.context.name == "127.0.0.1"
    assert not settings.context.key
    assert (settings.interval, settings.tab, settings.theme) == (1.0, "queues", "gqm-dark")
    assert settings.slo_of("any") == Slo(300.0, None)
    assert settings.redact == ("password", "token", "secret")
    assert not settings.ascii_glyphs


def test_a_whole_file(home: Path) -> None:
    settings = read(home, FULL)
    prod, lab = settings.contexts
    assert settings.context == prod
    assert prod.url == "https://q.example:8080"
    assert prod.ca_file == home / "gqm" / "ca.pem"
    assert prod.key.command == ("pass", "show", "q/prod eu")
    assert prod.production
    assert (lab.name, lab.read_only, lab.production) == ("lab", True, False)
    assert (settings.interval, settings.tab, settings.theme) == (2.0, "failed", "nord")
    assert (settings.local_time, settings.ascii_glyphs, settings.failed_grouped) == (True, True, False)
    assert settings.keymap == {"queues.pause": "P"}
    assert settings.slo == {"billing": Slo(300.0, 0.02), "low": Slo(90.0, None)}
    assert settings.redact == ("iban",)
    assert [(view.name, view.tab, view.filter) for view in settings.views] == [
        ("timeouts", "failed", "error:Timeout")
    ]


def test_all_problems_at_once_with_key_path_and_nearest_name(home: Path) -> None:
    text = """
intervall = 2
interval = "1s"
default_tab = "queue"
time = "UTC"
[keymap]
"queues.pause" = 3
[contexts.prod-eu]
urll = "x"
production = "yes"
api_key = "gqm_ak_very_secret"
api_key_env = "A"
api_key_file = "b"
[contexts."a b"]
url = "ftp://x"
[contexts.c]
url = "https://me:hidden@x"
api_key_cmd = "pass 'open"
[slo.billing]
oldest = "5 minutes"
fail_rate = 2
[redact]
keys = "password"
[views.v]
tab = "queues"
filter = "queu:x"
[views.w]
filter = "x"
"""
    found = problems(home, text)
    assert found == [
        "tui.toml: interval: must be a number",
        'tui.toml: default_tab: "queue" is not allowed (queues, workers, failed, cron, dag, servers,'
        ' overview); did you mean "queues"?',
        'tui.toml: time: "UTC" is not allowed (utc, local); did you mean "utc"?',
        'tui.toml: keymap."queues.pause": must be a text that is not empty',
        "tui.toml: contexts.prod-eu.url: is missing",
        "tui.toml: contexts.prod-eu.api_key_file: stands beside api_key_env; a context has one source of its"
        " key",
        "tui.toml: contexts.prod-eu.production: must be true or false",
        'tui.toml: contexts.prod-eu.urll: unknown key; did you mean "url"?',
        'tui.toml: contexts.prod-eu.api_key: unknown key; did you mean "api_key_env"?',
        'tui.toml: contexts."a b".url: must begin with http:// or https:// and name a host',
        "tui.toml: contexts.c.url: must not hold a user or a password; a key has its own settings",
        "tui.toml: contexts.c.api_key_cmd: cannot be split into words: No closing quotation",
        'tui.toml: slo.billing.oldest: must be a span like "30s", "5m", "2h" or "1d"',
        "tui.toml: slo.billing.fail_rate: must be between 0 and 1",
        "tui.toml: redact.keys: must be a list of texts that are not empty",
        "tui.toml: views.v.filter: no field queu here; there are name, state, ready, act, sched, retry, dlq,"
        " oldest, in, out, fail, drain",
        "tui.toml: views.w.tab: is missing",
        'tui.toml: intervall: unknown key; did you mean "interval"?',
    ]
    assert not any(secret in line for line in found for secret in ("very_secret", "hidden"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"interval = ", "is not TOML"),
        (b"a = 1\na = 2", "is not TOML"),
        (b"\xff", "is not UTF-8"),
        (b"contexts = 3", "contexts: must be a table"),
        (b"[contexts]\na = 3", "contexts.a: must be a table"),
        (b"interval = true", "must be a number"),
        (b"interval = nan", "must be a number"),
        (b"interval = 0.1", "between 0.5 and 3600"),
    ],
)
def test_files_that_cannot_be_used(home: Path, content: bytes, said: str) -> None:
    (home / "gqm" / "tui.toml").write_bytes(content)
    assert any(said in line for line in problems(home))


def test_a_key_cannot_bring_control_codes_to_the_terminal(home: Path) -> None:
    (line,) = problems(home, '"a\\u001b]0;x\\u0007" = 1')
    assert "\x1b" not in line


def test_a_named_file_must_exist(home: Path) -> None:
    missing = home / "other.toml"
    for given in ({"tui_config": missing}, {"env": {"GQM_TUI_CONFIG": str(missing)}}):
        (line,) = problems(home, **given)
        assert "other.toml: cannot be read" in line


def test_flag_beats_environment_beats_default_for_the_files_place(home: Path) -> None:
    one, two = home / "one.toml", home / "two.toml"
    one.write_text("interval = 5", "utf-8")
    two.write_text("interval = 10", "utf-8")
    assert read(home, "interval = 30").interval == 30.0
    assert read(home, env={"GQM_TUI_CONFIG": str(two)}).interval == 10.0
    assert read(home, env={"GQM_TUI_CONFIG": str(two)}, tui_config=one).interval == 5.0


def test_flag_beats_last_run_beats_file(home: Path) -> None:
    text = 'interval = 2\ndefault_tab = "cron"\ntheme = "nord"'
    last = State(interval=5, tab="dag", theme="dracula")
    of_file, of_last = read(home, text), read(home, state=last)
    of_flag = read(home, state=last, interval=10.0, tab="servers", theme="gqm-light")
    assert (of_file.interval, of_file.tab, of_file.theme) == (2.0, "cron", "nord")
    assert (of_last.interval, of_last.tab, of_last.theme) == (5.0, "dag", "dracula")
    assert (of_flag.interval, of_flag.tab, of_flag.theme) == (10.0, "servers", "gqm-light")
    assert read(home, state=State(tab="a tab of another version")).tab == "cron"


def test_wrong_flags(home: Path) -> None:
    flags = {"interval": 0.0, "tab": "fail", "context": "prod", "api_key": " "}
    assert problems(home, FULL, **flags) == [
        "--interval: must be between 0.5 and 3600 seconds",
        '--tab: "fail" is not allowed (queues, workers, failed, cron, dag, servers, overview);'
        ' did you mean "failed"?',
        "--api-key: is empty",
        '--context: there is no context "prod"; did you mean "prod-eu"?',
    ]
    (line,) = problems(home, api_url="http://x", context="lab")
    assert line == "--context: does not go together with --api-url"
    (line,) = problems(home, env={"GQM_API_URL": "localhost:8080"})
    assert line == "GQM_API_URL: must begin with http:// or https:// and name a host"


URLS = {"prod": "https://prod", "lab": "http://lab", "env": "http://env:1", "flag": "http://flag:1"}
CONTEXTS = '[contexts.prod]\nurl = "https://prod"\n[contexts.lab]\nurl = "http://lab"\n'
DEFAULT = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("flags", "env", "last", "url", "key"),
    [
        ({}, {}, None, URLS["prod"], None),
        ({}, {}, "lab", URLS["lab"], None),
        ({}, {}, "gone", URLS["prod"], None),
        ({"context": "lab"}, {}, "prod", URLS["lab"], None),
        ({}, {"GQM_API_URL": URLS["env"]}, "lab", URLS["env"], None),
        ({}, {"GQM_API_URL": URLS["env"], "GQM_API_KEY": "k-env"}, "lab", URLS["env"], "k-env"),
        ({}, {"GQM_API_KEY": "k-env"}, "lab", DEFAULT, "k-env"),
        ({}, {"GQM_API_KEY": ""}, "lab", URLS["lab"], None),
        ({"context": "lab"}, {"GQM_API_URL": URLS["env"], "GQM_API_KEY": "k-env"}, None, URLS["lab"], None),
        ({"context": "lab", "api_key": "k-flag"}, {"GQM_API_KEY": "k-env"}, None, URLS["lab"], "k-flag"),
        ({"api_key": "k-flag"}, {"GQM_API_KEY": "k-env"}, "lab", DEFAULT, "k-flag"),
        ({"api_url": URLS["flag"]}, {"GQM_API_URL": URLS["env"]}, "lab", URLS["flag"], None),
        ({"api_url": URLS["flag"]}, {"GQM_API_KEY": "k-env"}, "lab", URLS["flag"], "k-env"),
        ({"api_url": URLS["flag"], "api_key": "k"}, {"GQM_API_KEY": "k-env"}, None, URLS["flag"], "k"),
    ],
)
def test_which_server_is_opened_with_which_key(
    home: Path, flags: dict[str, str], env: dict[str, str], last: str | None, url: str, key: str | None
) -> None:
    settings = read(home, CONTEXTS, state=State(context=last), env=env, **flags)
    assert settings.context.url == url
    assert read_key(settings.context.key, env) == key
    assert settings.context in settings.contexts
    # Whatever is opened first: no other context ever has a key that came with this run.
    assert not any(other.key for other in settings.contexts if other != settings.context)


def test_a_key_file_goes_before_a_key(home: Path) -> None:
    file = home / "key"
    file.write_text("k-file\n", "utf-8")
    file.chmod(0o600)
    settings = read(home, api_key_file=file, api_key="k-flag", env={"GQM_API_KEY": "k-env"})
    assert read_key(settings.context.key) == "k-file"


def test_a_typed_address_never_takes_the_name_of_a_saved_context(home: Path) -> None:
    text = '[contexts.q]\nurl = "https://q"\n[contexts."q:1"]\nurl = "https://q"\n'
    assert read(home, text, api_url="http://q:1").context.name == "http://q:1"
    assert read(home, api_url="http://q:2").context.name == "q:2"
    saved = {one.name: one for one in read(home).contexts}
    opened = open_url("https://other:9/gqm/", saved)
    assert (opened.name, opened.url, bool(opened.key), opened.saved) == (
        "other",
        "https://other:9/gqm",
        False,
        False,
    )
    with pytest.raises(ValueError, match="the address must not hold"):
        open_url("https://u:p@x", saved)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("q.example", "must begin with"),
        ("ftp://q", "must begin with"),
        ("https://", "must begin with"),
        ("https://q:port", "is not an address"),
        ("https://[::1", "is not an address"),
        ("https://u@q", "must not hold a user"),
        ("https://:p@q", "must not hold a user"),
        ("https://q?key=1", "without"),
        ("https://q#x", "without"),
        ("https://q/a b", "without"),
        ("https://q/\x1b", "without"),
    ],
)
def test_addresses_that_are_refused(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        open_url(url, {})
    assert "@" not in str(caught.value)


def test_a_key_by_flag_stays_with_the_context_of_the_flag(home: Path) -> None:
    settings = read(home, CONTEXTS, context="lab", api_key="k-flag")
    assert [(one.name, bool(one.key)) for one in settings.contexts] == [("prod", False), ("lab", True)]


@pytest.mark.parametrize("seconds", [0.5, 3_600.0])
def test_the_ends_of_the_interval(home: Path, seconds: float) -> None:
    assert read(home, interval=seconds).interval == seconds
    assert read(home, f"interval = {seconds}").interval == seconds


def test_read_only_locks_every_context(home: Path) -> None:
    settings = read(home, FULL, read_only=True)
    assert settings.context.read_only
    assert all(context.read_only for context in settings.contexts)


def test_no_key_in_any_repr(home: Path) -> None:
    options = RunOptions(api_key="hidden-key")
    assert "hidden-key" not in repr(options)
    assert "hidden-key" not in repr(load(options, None, {"XDG_CONFIG_HOME": str(home)}))


@pytest.mark.parametrize(
    ("env", "ascii_glyphs"),
    [
        ({}, False),
        ({"LANG": "de_DE.UTF-8"}, False),
        ({"LANG": "de_DE.utf8@euro"}, False),
        ({"LANG": "C"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, False),
        ({"LC_ALL": "", "LC_CTYPE": "POSIX", "LANG": "C.UTF-8"}, True),
    ],
)
def test_a_locale_without_unicode_gets_plain_glyphs(
    home: Path, env: dict[str, str], ascii_glyphs: bool
) -> None:
    assert read(home, env=env).ascii_glyphs is ascii_glyphs
    assert not read(home, 'glyphs = "unicode"', env=env).ascii_glyphs


def test_themes_beside_the_file(home: Path) -> None:
    themes = home / "gqm" / "themes"
    themes.mkdir()
    (themes / "sea.toml").write_text(
        'primary = "#0af"\ndark = false\n[variables]\n"footer-key" = "#fff"', "utf-8"
    )
    (theme,) = read(home).themes
    assert (theme.name, theme.colours, theme.dark) == ("sea", {"primary": "#0af"}, False)
    assert theme.variables == {"footer-key": "#fff"}
    (themes / "bad.toml").write_text('primry = "#0af"\nerror = "very red!"\ndark = 1', "utf-8")
    assert [line.partition("bad.toml: ")[2] for line in problems(home)] == [
        'error: "very red!" is not a colour like "#8ec07c" or "ansi_green"',
        "primary: is missing: the one colour that every theme needs",
        "dark: must be true or false",
        'primry: unknown key; did you mean "primary"?',
    ]


def test_interval_steps() -> None:
    assert [step_interval(step, slower=True) for step in INTERVALS] == [2, 3, 5, 10, 30, 30]
    assert [step_interval(step, slower=False) for step in INTERVALS] == [1, 1, 2, 3, 5, 10]
    assert (step_interval(4, slower=True), step_interval(4, slower=False)) == (5, 3)
    assert (step_interval(60, slower=True), step_interval(0.5, slower=False)) == (60, 0.5)


# -- keys of contexts


def command(code: str) -> KeySource:
    return KeySource(command=(sys.executable, "-c", code))


def test_where_keys_come_from(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("k-file\r\nsecond line\n", "utf-8")
    file.chmod(0o600)
    assert read_key(KeySource()) is None
    assert read_key(KeySource(variable="MY_KEY"), {"MY_KEY": "k-env"}) == "k-env"
    assert read_key(KeySource(file=file)) == "k-file"
    assert read_key(command("print('k-cmd')")) == "k-cmd"


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    source = KeySource(command=(sys.executable, "-c", "import sys; print(len(sys.argv))", "$(id)", ";", "*"))
    assert read_key(source) == "4"


def test_a_command_does_not_read_our_terminal() -> None:
    assert read_key(command("import sys; print('k' + sys.stdin.read())")) == "k"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (KeySource(variable="MY_KEY"), "MY_KEY, which should hold the API key, is not set"),
        (KeySource(file=Path("/no/such/key")), "/no/such/key cannot be read: No such file"),
        (KeySource(command=("/no/such/program",)), "cannot be run: No such file"),
        (command("import sys; sys.exit('locked\\nstore')"), "failed with exit code 1: store"),
        (command("pass"), "is empty; an API key was expected"),
        (command("print('two words')"), "is not an API key"),
        (KeySource(given="gqm_ü"), "the given API key is not an API key"),
    ],
)
def test_a_key_that_cannot_be_had_is_one_sentence(source: KeySource, said: str) -> None:
    with pytest.raises(KeyUnavailableError, match=said) as caught:
        read_key(source, {})
    assert "\n" not in str(caught.value)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("gqm_ak_1", "utf-8")
    for mode in (0o644, 0o640, 0o602, 0o610):
        file.chmod(mode)
        with pytest.raises(KeyUnavailableError, match=f"mode {mode:04o}"):
            read_key(KeySource(file=file))


def test_a_slow_command_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(credentials, "COMMAND_LIMIT_S", 0.2)
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(KeyUnavailableError, match=r"no API key within 0\.2 s"):
        read_key(command(code))
    if pid.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text("utf-8")), 0)


# -- keys of the keyboard

BINDINGS = {
    "app.quit": "q,ctrl+c",
    "app.help": "question_mark",
    "table.open": "enter",
    "list.copy": "y",
    "queues.pause": "p",
    "queues.empty": "D",
    "job.pager": "o",
    "job.copy": "y",
    "section.next": "right_square_bracket",
}


@pytest.mark.parametrize(
    "keymap",
    [
        {},
        {"queues.pause": "P"},
        {"queues.pause": "o"},
        {"queues.pause": "D", "queues.empty": "p"},
        {"job.pager": "enter"},
        {"job.copy": "y,Y"},
        {"app.quit": "ctrl+q"},
        {"queues.pause": "comma"},
        {"queues.pause": ","},
    ],
)
def test_keys_that_may_be_chosen(keymap: dict[str, str]) -> None:
    check_keymap(keymap, BINDINGS)


@pytest.mark.parametrize(
    ("keymap", "lines"),
    [
        ({"queues.pauze": "P"}, ['no binding has this id; did you mean "queues.pause"?']),
        ({"queues.pause": "D"}, ['"D" is in use by "queues.empty"']),
        ({"queues.pause": "shift+d"}, ['"D" is in use by "queues.empty"']),
        ({"queues.pause": "?"}, ['"question_mark" is in use by "app.help"']),
        ({"queues.pause": "y"}, ['"y" is in use by "list.copy"']),
        ({"queues.pause": "]"}, ['"right_square_bracket" is in use by "section.next"']),
        ({"queues.pause": "P,CTRL+c"}, ['"ctrl+c" is in use by "app.quit"']),
        ({"queues.pause": "P,"}, ["must name a key"]),
        ({"queues.pause": "z", "queues.empty": "z"}, ["in use by", "in use by"]),
    ],
)
def test_keys_that_may_not(keymap: dict[str, str], lines: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        check_keymap(keymap, BINDINGS, "my.toml")
    found = caught.value.problems
    assert len(found) == len(lines)
    assert all(line in problem.text for line, problem in zip(lines, found, strict=True))
    assert str(found[0]).startswith(f'my.toml: keymap."{next(iter(keymap))}": ')


def test_names_of_keys() -> None:
    keys = ("?", "/", "+", "ctrl+P", "F5", "shift+a", "A", "-", "shift+tab", "!")
    assert [key_name(key) for key in keys] == [
        *("question_mark", "slash", "plus", "ctrl+p", "f5", "A", "A", "minus", "shift+tab"),
        "exclamation_mark",
    ]
