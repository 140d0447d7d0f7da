"""Users and passwords: set, removed, listed, hashed; on a terminal and through pipes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import bcrypt
import pytest

from gqm.config import load_config, render_template
from tests.cli.helpers import Gqm

GOOD = "correct horse"
RESTART = "restart running servers for it to take effect\n"
ON = "signing in is turned on now: auth.enabled is true\n"
PROMPTS = "Password: \nRepeat: \n"
FILE = """\
monitoring:
  auth:
    enabled: true
    users:
      - username: ana
        password_hash: ""
        role: admin
      - username: bob
        password_hash: ""
"""


@pytest.fixture
def file(gqm: Gqm) -> Path:
    """A file with an admin and a viewer, which nobody else can read."""
    path = gqm.write("gqm.yaml", FILE)
    path.chmod(0o600)
    return path


def accepts(file: Path, user: str, password: str) -> bool:
    """Whether the file's hash of a user is that of a password."""
    users = {item.username: item.password_hash for item in load_config(file).monitoring.auth.users}
    return bcrypt.checkpw(password.encode(), users[user].encode())


# ---------------------------------------------------------------------------------- set-password


@pytest.mark.fault(9)
@pytest.mark.fault(2)
def test_the_first_user_is_an_admin_and_is_announced(gqm: Gqm) -> None:
    path = gqm.write("gqm.yaml", render_template())
    path.chmod(0o600)
    done = gqm.terminal("set-password", "ana", answers=[GOOD, GOOD])
    assert (done.code, done.out) == (0, "")
    assert done.err == f'{PROMPTS}added user "ana" (admin) to gqm.yaml\n{ON}{RESTART}'
    assert accepts(path, "ana", GOOD)
    auth = load_config(path).monitoring.auth
    assert (auth.enabled, auth.users[0].role) == (True, "admin")
    assert auth.users[0].password_hash.startswith("$2b$12$")


@pytest.mark.fault(9)
@pytest.mark.fault(11)
def test_further_users_are_viewers(gqm: Gqm, file: Path) -> None:
    done = gqm("set-password", "cy", "--stdin", stdin=f"{GOOD}\n")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith('added user "cy" (viewer) to gqm.yaml\n')
    assert load_config(file).monitoring.auth.users[2].role == "viewer"


@pytest.mark.parametrize(("options", "role"), [([], "admin"), (["--role", "viewer"], "viewer")])
def test_an_existing_role_stays_unless_another_is_given(
    gqm: Gqm, file: Path, options: list[str], role: str
) -> None:
    file.write_text(FILE.replace('      - username: bob\n        password_hash: ""\n', ""))
    done = gqm("set-password", "--user", "ana", "--stdin", *options, stdin=GOOD)
    assert (done.code, done.out) == (0, "")
    assert done.err == f'changed the password of "ana" ({role}) in gqm.yaml\n{RESTART}'
    assert accepts(file, "ana", GOOD)
    assert load_config(file).monitoring.auth.users[0].role == role


def test_what_is_left_to_fill_in_is_listed_and_no_obstacle(gqm: Gqm, file: Path) -> None:
    file.write_text(f"{FILE}  api:\n    enabled: true\n    addr: 127.0.0.1:0\n")
    done = gqm("set-password", "ana", "--stdin", stdin=GOOD)
    assert done.code == 0
    assert 'no password for "bob" yet; run "gqm set-password bob"\n' in done.err


def test_a_wide_mode_is_narrowed_and_said(gqm: Gqm, file: Path) -> None:
    file.chmod(0o644)
    done = gqm("set-password", "ana", "--stdin", stdin=GOOD)
    assert "gqm.yaml can now be read by its owner only (mode 0600)\n" in done.err


@pytest.mark.parametrize("line_end", ["", "\n", "\r\n"])
def test_a_password_is_stored_exactly_as_typed(gqm: Gqm, file: Path, line_end: str) -> None:
    password = "päss  \t'\"$x\\n"
    done = gqm(
        "set-password",
        "ana",
        "--stdin",
        stdin=f"{password}{line_end}ignored".removesuffix("" if line_end else "ignored"),
    )
    assert done.code == 0
    assert accepts(file, "ana", password)


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    ("password", "text"),
    [
        ("", "the password is too short: at least 8 characters"),
        ("short12", "the password is too short: at least 8 characters"),
        ("x" * 73, "the password is too long: 73 bytes of UTF-8, at most 72"),
        ("ä" * 37, "the password is too long: 74 bytes of UTF-8, at most 72"),
        (" leading1", "the password begins or ends with a space, which gets lost when it is typed"),
        ("trailing1 ", "the password begins or ends with a space, which gets lost when it is typed"),
        ("nul\0inside", "the password has a NUL character in it"),
        ("long-user-name", "the password is the user's name; choose another"),
    ],
)
def test_passwords_that_break_a_rule(gqm: Gqm, file: Path, password: str, text: str) -> None:
    done = gqm("set-password", "long-user-name", "--stdin", stdin=password)
    assert (done.code, done.out, done.err) == (1, "", f"gqm: error: {text}\n")
    assert file.read_text() == FILE


def test_bytes_that_are_no_text(gqm: Gqm, file: Path) -> None:
    done = gqm("set-password", "ana", "--stdin", stdin=b"\xff\xfe\xfd\xfc\xff\xfe\xfd\xfc")
    assert (done.code, done.err) == (1, "gqm: error: stdin is not UTF-8 text; expected the password\n")


def test_the_longest_password(gqm: Gqm, file: Path) -> None:
    assert gqm("set-password", "ana", "--stdin", stdin="x" * 72).code == 0
    assert accepts(file, "ana", "x" * 72)


def test_two_different_passwords(gqm: Gqm, file: Path) -> None:
    done = gqm.terminal("set-password", "ana", answers=[GOOD, "another one"], NO_COLOR="1")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"{PROMPTS}gqm: error: the two passwords differ; nothing was changed\n"
    assert file.read_text() == FILE


def test_ctrl_c_at_the_prompt(gqm: Gqm, file: Path) -> None:
    done = gqm.terminal("set-password", "ana", answers=["\x03"], NO_COLOR="1")
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("gqm: error: interrupted\n")
    assert file.read_text() == FILE


def test_without_a_terminal(gqm: Gqm, file: Path) -> None:
    done = gqm("set-password", "ana")
    assert (done.code, done.out) == (2, "")
    assert done.err == "gqm: error: there is no terminal to ask on; give the password with --stdin\n"


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    "args",
    [
        ["set-password", "ana", "s3cret-pass"],
        ["hash-password", "s3cret-pass"],
        ["hash-password", "--s3cret-pass"],
    ],
)
def test_a_password_as_an_argument_is_refused_and_not_repeated(gqm: Gqm, file: Path, args: list[str]) -> None:
    done = gqm(*args)
    assert (done.code, done.out) == (2, "")
    assert "it would show in the process list; use the prompt or --stdin" in done.err
    assert "s3cret" not in done.err
    assert file.read_text() == FILE


def test_a_misspelt_option_is_still_named(gqm: Gqm, file: Path) -> None:
    done = gqm("set-password", "ana", "--sdtin")
    assert (done.code, done.err) == (2, 'gqm: error: unknown option; did you mean "--stdin"?\n')


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "USER is missing; give it as the argument or as --user"),
        (["a b"], 'USER "a b": allowed: letters, digits, . _ - (users also @), 1 to 64 characters'),
        (["a\x1bb"], 'USER "a\\x1bb": allowed: letters, digits, . _ - (users also @), 1 to 64 characters'),
        (["ana", "--user", "bob"], "USER is given twice: ana and bob"),
    ],
)
def test_wrong_use(gqm: Gqm, file: Path, args: list[str], text: str) -> None:
    done = gqm("set-password", *args, "--stdin", stdin=GOOD)
    assert (done.code, done.out, done.err) == (2, "", f"gqm: error: {text}\n")


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_a_broken_file_is_told_before_the_prompt(gqm: Gqm, place: str) -> None:
    gqm.write("gqm.yaml", "- a\n")
    done = gqm("set-password", "ana", "--stdin") if place == "pipe" else gqm.terminal("set-password", "ana")
    assert (done.code, done.out) == (3, "")
    assert done.err == "gqm.yaml:1:1: expected a mapping at the top, got list\n"


def test_errors_elsewhere_stop_it(gqm: Gqm, file: Path) -> None:
    text = f"{FILE}app:\n  processes: many\n"
    file.write_text(text)
    done = gqm("set-password", "ana", "--stdin", stdin=GOOD)
    assert (done.code, done.out) == (3, "")
    assert done.err == 'gqm.yaml:11:14: app.processes: expected int, got text ("many")\n'
    assert file.read_text() == text


def test_reset_password_is_another_name(gqm: Gqm, file: Path) -> None:
    assert gqm("reset-password", "ana", "--stdin", stdin=GOOD).code == 0
    assert accepts(file, "ana", GOOD)
    assert "reset-password" not in gqm("--help").out


# ----------------------------------------------------------------------------------- remove-user


def test_a_user_is_removed_after_a_yes(gqm: Gqm, file: Path) -> None:
    done = gqm.terminal("remove-user", "bob", answers=["y"])
    assert (done.code, done.out) == (0, "")
    assert done.err == f'Remove user "bob" (viewer)? [y/N] y\nremoved user "bob" from gqm.yaml\n{RESTART}'
    assert [user.username for user in load_config(file).monitoring.auth.users] == ["ana"]


@pytest.mark.parametrize("answer", ["n", "", "no", "yep"])
def test_anything_else_is_a_no(gqm: Gqm, file: Path, answer: str) -> None:
    done = gqm.terminal("remove-user", "bob", answers=[answer], NO_COLOR="1")
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("gqm: error: not confirmed; nothing was changed\n")
    assert file.read_text() == FILE


def test_yes_in_advance(gqm: Gqm, file: Path) -> None:
    done = gqm("remove-user", "bob", "--yes")
    assert (done.code, done.out, done.err) == (0, "", f'removed user "bob" from gqm.yaml\n{RESTART}')


@pytest.mark.fault(15)
def test_without_a_terminal_nothing_is_removed(gqm: Gqm, file: Path) -> None:
    done = gqm("remove-user", "bob", stdin="y\n")
    assert (done.code, done.err) == (2, "gqm: error: there is no terminal to ask on; say --yes\n")
    assert file.read_text() == FILE


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("zoe", 'there is no user "zoe" in gqm.yaml'),
        ("ana", '"ana" is the only admin in gqm.yaml; make somebody else an admin first'),
    ],
)
def test_who_cannot_be_removed(gqm: Gqm, file: Path, user: str, text: str) -> None:
    done = gqm("remove-user", user, "--yes")
    assert (done.code, done.out, done.err) == (1, "", f"gqm: error: {text}\n")
    assert file.read_text() == FILE


def test_a_removal_that_would_leave_nobody_is_refused(gqm: Gqm, file: Path) -> None:
    text = FILE.replace("role: admin", "role: viewer").replace(
        '      - username: bob\n        password_hash: ""\n', ""
    )
    file.write_text(text)
    done = gqm("remove-user", "ana", "--yes")
    assert done.code == 3
    assert "auth is on but there is no user" in done.err
    assert file.read_text() == text


# ------------------------------------------------------------------------------------ list-users


@pytest.mark.parametrize("place", ["pipe", "terminal"])
@pytest.mark.fault(11)
def test_the_table(gqm: Gqm, file: Path, place: str) -> None:
    gqm("set-password", "ana", "--stdin", stdin=GOOD)
    done = gqm("list-users") if place == "pipe" else gqm.terminal("list-users", NO_COLOR="1")
    assert (done.code, done.err) == (0, "")
    assert done.out == "USER  ROLE    PASSWORD\nana   admin   set\nbob   viewer  none yet\n"


def test_the_document(gqm: Gqm, file: Path) -> None:
    done = gqm("list-users", "--json")
    assert json.loads(done.out) == {
        "users": [
            {"username": "ana", "role": "admin", "password": False},
            {"username": "bob", "role": "viewer", "password": False},
        ]
    }


def test_nobody(gqm: Gqm) -> None:
    gqm.write("gqm.yaml", "")
    assert gqm("list-users").out == "USER  ROLE  PASSWORD\n"
    assert json.loads(gqm("list-users", "--json").out) == {"users": []}


def test_a_broken_file(gqm: Gqm) -> None:
    gqm.write("gqm.yaml", "monitoring: [1]\n")
    done = gqm("list-users", "--json")
    assert (done.code, json.loads(done.out)["code"]) == (3, "CONFIG_INVALID")


# --------------------------------------------------------------------------------- hash-password


def test_a_hash_from_the_terminal(gqm: Gqm) -> None:
    done = gqm.terminal("hash-password", answers=[GOOD, GOOD])
    assert (done.code, done.err) == (0, PROMPTS)
    assert bcrypt.checkpw(GOOD.encode(), done.out.strip().encode())
    assert done.out.startswith("$2b$12$")


@pytest.mark.fault(11)
def test_a_hash_from_stdin(gqm: Gqm) -> None:
    done = gqm("hash-password", "--stdin", "--cost", "10", stdin=f"{GOOD}\n")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"\$2b\$10\$.{53}\n", done.out)
    assert bcrypt.checkpw(GOOD.encode(), done.out.strip().encode())


@pytest.mark.fault(13)
def test_asking_for_help_hashes_nothing(gqm: Gqm) -> None:
    done = gqm("hash-password", "-h")
    assert done.code == 0
    assert "$2b$" not in done.out


@pytest.mark.parametrize("cost", ["9", "17", "x"])
def test_a_cost_out_of_range(gqm: Gqm, cost: str) -> None:
    done = gqm("hash-password", "--stdin", "--cost", cost, stdin=GOOD)
    assert (done.code, done.out) == (2, "")
    assert "--cost" in done.err


@pytest.mark.fault(10)
def test_an_empty_password_is_refused(gqm: Gqm) -> None:
    assert gqm("hash-password", "--stdin", stdin="\n").code == 1
    assert gqm("hash-password", "--stdin").code == 1


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["set-password", "--stdn"], 'unknown option; did you mean "--stdin"?'),
        (["set-password", "--rol", "admin"], 'unknown option; did you mean "--role"?'),
        (["add-api-key", "--zzz"], 'unknown option; see "gqm add-api-key --help"'),
    ],
)
def test_a_mistyped_option_is_not_taken_for_a_name(gqm: Gqm, args: list[str], text: str) -> None:
    path = gqm.write("gqm.yaml", "")
    done = gqm(*args, stdin="correct horse\n")
    assert (done.code, done.out, done.err) == (2, "", f"gqm: error: {text}\n")
    assert path.read_text() == ""
