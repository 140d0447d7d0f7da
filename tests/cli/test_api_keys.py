"""API keys: added, filled in, revoked, listed; shown once and stored as hashes."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from gqm.config import load_config, render_template
from tests.cli.helpers import GQM, Gqm

RESTART = "restart running servers for it to take effect\n"
ONCE = "it is shown this once: only its hash is stored\n"
OWN = "0123456789abcdefghijklmnopqrstuvwxyz"
FILE = f"""\
monitoring:
  api:
    api_keys:
      - name: grafana     # the dashboards
        key: ""           # to be filled in
        role: admin
      - name: used
        key: {OWN}
"""


@pytest.fixture
def file(gqm: Gqm) -> Path:
    path = gqm.write("gqm.yaml", FILE)
    path.chmod(0o600)
    return path


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.mark.fault(12)
@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_the_key_is_all_there_is_on_stdout(gqm: Gqm, file: Path, place: str) -> None:
    done = gqm("add-api-key", "new") if place == "pipe" else gqm.terminal("add-api-key", "new")
    assert done.code == 0
    assert re.fullmatch(r"gqm_ak_[0-9a-f]{48}\n", done.out)
    assert done.err == f'added API key "new" (viewer) to gqm.yaml\n{ONCE}{RESTART}'
    key = load_config(file).monitoring.api.api_keys[2]
    assert (key.name, key.role, key.key, key.digest) == ("new", "viewer", "", digest(done.out.strip()))
    assert done.out.strip() not in file.read_text()


@pytest.mark.fault(12)
def test_in_a_shell(gqm: Gqm, file: Path) -> None:
    script = f'KEY=$({" ".join(GQM)} add-api-key x) && printf "[%s]" "$KEY"'
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=gqm.folder,
        env=gqm.env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert re.fullmatch(r"\[gqm_ak_[0-9a-f]{48}\]", done.stdout)


@pytest.mark.fault(5)
def test_one_key_in_the_template_only_adds_lines(gqm: Gqm) -> None:
    path = gqm.write("gqm.yaml", render_template())
    assert gqm("add-api-key", "grafana").code == 0
    before, after = render_template().splitlines(), path.read_text().splitlines()
    place = before.index(next(line for line in before if line.startswith("    api_keys:"))) + 1
    assert after[:place] + after[place + 3 :] == before
    assert [line.split(":")[0] for line in after[place : place + 3]] == [
        "      - name",
        "        key_hash",
        "        role",
    ]


@pytest.mark.fault(2)
def test_a_null_list_takes_the_key(gqm: Gqm) -> None:
    path = gqm.write("gqm.yaml", "monitoring:\n  api:\n    api_keys:\n")
    assert gqm("add-api-key", "true").code == 0
    assert [key.name for key in load_config(path).monitoring.api.api_keys] == ["true"]


def test_an_empty_entry_is_filled_in_on_its_line(gqm: Gqm, file: Path) -> None:
    done = gqm("add-api-key", "--name", "grafana")
    assert done.code == 0
    assert done.err.startswith('added API key "grafana" (admin) to gqm.yaml\n')
    hashed = f'key_hash: "sha256:{digest(done.out.strip())}"'
    assert file.read_text() == FILE.replace('key: ""', hashed)


def test_a_role_can_be_given(gqm: Gqm, file: Path) -> None:
    assert gqm("add-api-key", "new", "--role", "admin").code == 0
    assert load_config(file).monitoring.api.api_keys[2].role == "admin"
    assert gqm("add-api-key", "grafana", "--role", "viewer").code == 0
    assert load_config(file).monitoring.api.api_keys[0].role == "viewer"


@pytest.mark.fault(11)
def test_a_key_of_ones_own(gqm: Gqm, file: Path) -> None:
    key = "k" * 32
    done = gqm("add-api-key", "new", "--stdin", stdin=f"{key}\n")
    assert (done.code, done.out) == (0, f"{key}\n")
    assert load_config(file).monitoring.api.api_keys[2].digest == digest(key)


@pytest.mark.parametrize("key", ["", "x" * 31, "ä" * 40, "x" * 40 + "\t"])
def test_a_weak_key_of_ones_own_is_refused(gqm: Gqm, file: Path, key: str) -> None:
    done = gqm("add-api-key", "new", "--stdin", stdin=key)
    assert (done.code, done.out) == (1, "")
    assert done.err == "gqm: error: an API key needs at least 32 printable ASCII characters\n"
    assert file.read_text() == FILE


def test_the_same_key_twice_is_refused_and_not_printed(gqm: Gqm, file: Path) -> None:
    done = gqm("add-api-key", "new", "--stdin", stdin=OWN)
    assert (done.code, done.out) == (3, "")
    assert 'same key as "used"' in done.err
    assert file.read_text() == FILE


def test_a_name_in_use(gqm: Gqm, file: Path) -> None:
    done = gqm("add-api-key", "used")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        'gqm: error: API key "used" already exists (gqm.yaml:7:9); revoke it first or choose another name\n'
    )
    assert file.read_text() == FILE


def test_the_document(gqm: Gqm, file: Path) -> None:
    done = gqm("add-api-key", "new", "--json")
    document = json.loads(done.out)
    key = document.pop("key")
    assert document == {"name": "new", "role": "viewer", "file": "gqm.yaml"}
    assert load_config(file).monitoring.api.api_keys[2].digest == digest(key)


def test_another_file(gqm: Gqm) -> None:
    path = gqm.write("other.yaml", "")
    done = gqm("add-api-key", "new", "-c", "other.yaml")
    assert "to other.yaml\n" in done.err
    assert "key_hash" in path.read_text()


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "NAME is missing; give it as the argument or as --name"),
        (["a@b"], 'NAME "a@b": allowed: letters, digits, . _ - (users also @), 1 to 64 characters'),
        (["a", "--name", "b"], "NAME is given twice: a and b"),
        (
            ["a", OWN],
            "add-api-key takes one argument: it would show in the process list; use the prompt or --stdin",
        ),
    ],
)
@pytest.mark.fault(10)
def test_wrong_use(gqm: Gqm, file: Path, args: list[str], text: str) -> None:
    done = gqm("add-api-key", *args)
    assert (done.code, done.out, done.err) == (2, "", f"gqm: error: {text}\n")
    assert file.read_text() == FILE


def test_a_bad_role(gqm: Gqm, file: Path) -> None:
    done = gqm("add-api-key", "new", "--role", "owner")
    assert (done.code, done.out) == (2, "")
    assert "--role" in done.err
    assert "viewer" in done.err


@pytest.mark.parametrize("command", ["add-api-key", "revoke-api-key", "list-api-keys"])
def test_a_missing_file(gqm: Gqm, command: str) -> None:
    args = [] if command == "list-api-keys" else ["x"]
    done = gqm(command, *args)
    text = 'gqm: error: gqm.yaml not found; create one with "gqm init" or name it with --config\n'
    assert (done.code, done.out, done.err) == (3, "", text)


# ------------------------------------------------------------------------------------- revoking


def test_a_key_is_revoked_after_a_yes(gqm: Gqm, file: Path) -> None:
    done = gqm.terminal("revoke-api-key", "grafana", answers=["yes"])
    assert (done.code, done.out) == (0, "")
    assert (
        done.err == f'Revoke API key "grafana"? [y/N] yes\nrevoked API key "grafana" in gqm.yaml\n{RESTART}'
    )
    assert [key.name for key in load_config(file).monitoring.api.api_keys] == ["used"]


@pytest.mark.fault(15)
def test_without_a_terminal_nothing_is_revoked(gqm: Gqm, file: Path) -> None:
    done = gqm("revoke-api-key", "grafana", stdin="y\n")
    assert (done.code, done.out) == (2, "")
    assert done.err == "gqm: error: there is no terminal to ask on; say --yes\n"
    assert file.read_text() == FILE


def test_declined(gqm: Gqm, file: Path) -> None:
    done = gqm.terminal("revoke-api-key", "grafana", answers=["n"], NO_COLOR="1")
    assert (done.code, done.err.splitlines()[-1]) == (1, "gqm: error: not confirmed; nothing was changed")
    assert file.read_text() == FILE


def test_unknown(gqm: Gqm, file: Path) -> None:
    done = gqm("revoke-api-key", "nope", "--yes")
    assert (done.code, done.err) == (1, 'gqm: error: there is no API key "nope" in gqm.yaml\n')


def test_revoked_and_added_again(gqm: Gqm, file: Path) -> None:
    assert gqm("revoke-api-key", "used", "--yes").code == 0
    assert gqm("add-api-key", "used").code == 0
    assert OWN not in file.read_text()


# -------------------------------------------------------------------------------------- listing


@pytest.mark.fault(11)
@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_the_table(gqm: Gqm, file: Path, place: str) -> None:
    gqm("add-api-key", "new")
    done = gqm("list-api-keys") if place == "pipe" else gqm.terminal("list-api-keys", NO_COLOR="1")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "NAME     ROLE    STORED\ngrafana  admin   empty\nused     viewer  clear\nnew      viewer  hash\n"
    )


def test_the_list_as_a_document(gqm: Gqm, file: Path) -> None:
    assert json.loads(gqm("list-api-keys", "--json").out) == {
        "api_keys": [
            {"name": "grafana", "role": "admin", "stored": "empty"},
            {"name": "used", "role": "viewer", "stored": "clear"},
        ]
    }


def test_a_new_key_that_is_stored_nowhere(gqm: Gqm) -> None:
    done = gqm("generate-api-key")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"gqm_ak_[0-9a-f]{48}\n", done.out)
    document = json.loads(gqm("generate-api-key", "--json").out)
    assert document["key"] != done.out.strip()
    assert document["key_hash"] == f"sha256:{digest(document['key'])}"
    assert list(gqm.folder.iterdir()) == []


def test_completion_knows_users_and_keys(gqm: Gqm, file: Path) -> None:
    done = gqm.process(COMP_WORDS="gqm revoke-api-key ", COMP_CWORD="2", _GQM_COMPLETE="complete_bash")
    assert done.out.split() == ["grafana", "used"]


def test_the_sample_of_the_readme(gqm: Gqm) -> None:
    """Its two empty secrets are filled in, and not a byte changes around them."""
    sample = (
        'redis:\n  prefix: "gqm"\nmonitoring:\n  auth:\n    enabled: true\n    users:\n'
        '      - username: admin\n        password_hash: ""        # generate with: gqm hash-password\n'
        '        role: admin\n  api:\n    enabled: true\n    addr: ":8080"\n    api_keys:\n'
        '      - name: "grafana"\n        key: ""                  # generate with: gqm generate-api-key\n'
        '        role: "viewer"\n'
    )
    path = gqm.write("gqm.yaml", sample)
    path.chmod(0o600)
    assert gqm("check").code == 3
    assert gqm("set-password", "admin", "--stdin", stdin="correct horse").code == 0
    key = gqm("add-api-key", "grafana").out.strip()
    assert gqm("check").code == 0
    hashed = load_config(path).monitoring.auth.users[0].password_hash
    assert path.read_text() == sample.replace('password_hash: ""', f'password_hash: "{hashed}"').replace(
        'key: ""', f'key_hash: "sha256:{digest(key)}"'
    )
