"""What a release holds, and what the files for deployments say."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import typer
import yaml

import gqm
from gqm_cli.diagnostics import Session
from gqm_cli.main import app
from tests.docs.blocks import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
BUILD = PROJECT["tool"]["hatch"]["build"]["targets"]
DEPLOY = ROOT / "deploy"
MOST_WHEEL = 2 * 1024 * 1024
MOST_SDIST = 6 * 1024 * 1024


def needed(folder: str, pattern: str, into: str) -> set[str]:
    """The files of a folder of the project, under the names that they have in a wheel."""
    return {f"{into}{path.relative_to(ROOT / folder).as_posix()}" for path in (ROOT / folder).rglob(pattern)}


def test_the_build_names_everything() -> None:
    assert BUILD["wheel"]["packages"] == ["gqm", "gqm_cli", "gqm_tui"]
    assert BUILD["wheel"]["force-include"] == {"web_static": "gqm/web_static"}
    assert PROJECT["project"]["license-files"] == ["LICENSE"]
    assert PROJECT["project"]["version"] == gqm.__version__
    assert PROJECT["project"]["scripts"] == {"gqm": "gqm_cli.main:run"}
    for name in BUILD["sdist"]["include"]:
        assert list(ROOT.glob(name)), name
    for file in (
        "gqm/py.typed",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "web_static/index.html",
    ):
        assert (ROOT / file).is_file(), file


@pytest.fixture
def backend(tmp_path: Path) -> Path:
    """The build back-end, from the package index as for everybody who builds."""
    folder = tmp_path / "backend"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--target", folder]
    done = subprocess.run(
        [*pip, *PROJECT["build-system"]["requires"]], capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode and os.environ.get("CI") != "true":
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    return folder


def test_wheel_and_sdist_hold_what_they_must(tmp_path: Path, backend: Path) -> None:
    must = needed("gqm", "*.py", "gqm/") | needed("gqm/store/lua", "*.lua", "gqm/store/lua/")
    must |= needed("gqm_tui", "*.tcss", "gqm_tui/") | needed("web_static", "*.*", "gqm/web_static/")
    must |= {"gqm/py.typed", f"gqm-{gqm.__version__}.dist-info/licenses/LICENSE"}
    hooks = "import hatchling.build as b, sys; print(b.build_wheel(sys.argv[1]), b.build_sdist(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", hooks, tmp_path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(backend)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    wheel, sdist = (tmp_path / name for name in done.stdout.split()[-2:])
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert must - inside == set()
    assert [name for name in inside if name.startswith(("tests", "docs", "examples"))] == []
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    kept = {"LICENSE", "README.md", "docs/faq.md", "tests/conftest.py", "web_static/index.html", ".ci/run"}
    assert kept - packed == set()
    sys.stdout.write(f"wheel {wheel.stat().st_size:,} bytes, sdist {sdist.stat().st_size:,} bytes\n")
    assert wheel.stat().st_size < MOST_WHEEL
    assert sdist.stat().st_size < MOST_SDIST


def takes(words: list[str]) -> None:
    """Read the arguments of ``gqm run`` as the program does. Raises what it refuses."""
    command = typer.main.get_command(app)
    context = command.make_context("gqm", words, obj=Session())
    run = command.get_command(context, words[0])  # type: ignore[attr-defined]
    run.make_context("run", words[1:], parent=context)


def test_the_service_starts_what_there_is() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "gqm.service", "utf-8")
    service = unit["Service"]
    takes(shlex.split(service["ExecStart"])[1:])
    assert int(service["TimeoutStopSec"]) > gqm.parse_config("").app.shutdown_timeout_s
    assert service["KillMode"] == "mixed"
    assert service["ExecReload"].split()[1] == "-USR2"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_service(tmp_path: Path) -> None:
    text = (DEPLOY / "gqm.service").read_text("utf-8")
    text = re.sub(r"(?m)^(ExecStart=)\S+", rf"\g<1>{sys.executable}", text)
    text = re.sub(r"(?m)^User=.*\n", "", text)
    file = tmp_path / "gqm.service"
    file.write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert [line for line in done.stderr.splitlines() if "gqm.service" in line] == []


def test_the_image_runs_what_there_is() -> None:
    lines = (DEPLOY / "Containerfile").read_text("utf-8").splitlines()
    words = {line.partition(" ")[0]: line.partition(" ")[2] for line in lines if line[:1].isupper()}
    assert yaml.safe_load(words["ENTRYPOINT"]) == ["gqm"]
    takes(yaml.safe_load(words["CMD"]))
    assert words["USER"] != "root"
    for extra in re.findall(r"\[(\w+)\]", "\n".join(lines)):
        assert extra in PROJECT["project"]["optional-dependencies"]


def test_the_containers_are_told_as_much_as_the_service() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    assert (DEPLOY.parent / compose["services"]["gqm"]["build"]["dockerfile"]).is_file()
    assert "noeviction" in compose["services"]["redis"]["command"]
    unit = (DEPLOY / "gqm.service").read_text("utf-8")
    assert (
        compose["services"]["gqm"]["stop_grace_period"] == re.findall(r"TimeoutStopSec=(\d+)", unit)[0] + "s"
    )
