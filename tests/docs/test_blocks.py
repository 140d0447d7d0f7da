"""Every code block of the documentation: Python runs, YAML and JSON are valid, shell lines are such."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gqm.config import parse_config
from gqm_tui.core.config import load as load_settings
from gqm_tui.options import RunOptions
from tests.docs.blocks import PAGES, ROOT, Block, Player, blocks, each

SECTIONS = {"redis", "app", "queues", "pools", "scheduler", "monitoring"}
WITH_PYTHON = [page for page in PAGES if re.search(r"^(?:```|<!-- )python$", page.read_text("utf-8"), re.M)]
GIVEN: dict[str, dict[str, object]] = {"rest.md": {"KEY": "k" * 40}}
"""Names that a page takes from its reader."""


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(
    page: Path, redis_socket: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    player = Player(redis_socket, prefix, str(page))
    player.redirect(monkeypatch)
    player.names |= GIVEN.get(page.name, {})
    before = set(sys.modules)
    try:
        for block in blocks(page.read_text("utf-8")):
            if block.file:
                (tmp_path / block.file).write_text(block.text, "utf-8")
            if block.language == "python":
                player.play(block)
    finally:
        player.close()
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
                del sys.modules[name]


def test_yaml_is_valid() -> None:
    """A block about GQM is a configuration, whole or in part; any other is at least YAML."""

    def check(page: Path, block: Block) -> None:
        parsed = yaml.safe_load(block.text)
        if isinstance(parsed, dict) and parsed.keys() <= SECTIONS:
            env = dict.fromkeys(re.findall(r"\$\{(\w+)", block.text), "8")
            parse_config(block.text, file=f"{page.name}:{block.line}", env=env)

    each("yaml", check)


def test_toml_is_what_the_terminal_ui_reads(tmp_path: Path) -> None:
    file = tmp_path / "tui.toml"

    def check(page: Path, block: Block) -> None:
        file.write_text(block.text, "utf-8")
        load_settings(RunOptions(tui_config=file), env={})

    each("toml", check)


def test_json_is_json() -> None:
    """A block holds one document, or one on each line."""

    def check(page: Path, block: Block) -> None:
        try:
            json.loads(block.text)
        except json.JSONDecodeError:
            for line in block.text.splitlines():
                json.loads(line)

    each("json", check)


@pytest.mark.parametrize("language", ["sh", "bash"])
def test_lines_for_a_shell_are_such(language: str) -> None:
    said: list[str] = []

    def check(page: Path, block: Block) -> None:
        done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
        if done.returncode:
            said.append(f"{page.name}:{block.line}: {done.stderr}")

    each(language, check)
    assert said == []


def test_the_marked_lines_for_a_shell_are_run(tmp_path: Path) -> None:
    """In a folder for each page, with the private server of that folder, which ends with the last command."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    env = {**os.environ, "PATH": path, "NO_COLOR": "1"}
    for page in PAGES:
        folder = tmp_path / page.relative_to(ROOT).as_posix().replace("/", "-")
        folder.mkdir()
        for block in blocks(page.read_text("utf-8")):
            if block.file:
                (folder / block.file).write_text(block.text, "utf-8")
            if block.marked:
                done = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", block.text],
                    cwd=folder,
                    env=env,
                    capture_output=True,
                    text=True,
                    timeout=120,
                    check=False,
                )
                assert done.returncode == 0, f"{page.name}:{block.line}: {done.stdout}{done.stderr}"


def test_a_wrong_block_is_noticed(redis_socket: str, prefix: str, tmp_path: Path) -> None:
    player = Player(redis_socket, prefix, "page.md")
    text = "# a\n\n```python\n# a.py\nn = 1\n```\n<!-- python\nassert n == 2\n-->\n"
    text += "<!-- run -->\n```sh\nfalse\n```\n"
    found = list(blocks(text))
    assert [(block.language, block.line, block.file, block.marked) for block in found] == [
        ("python", 4, "a.py", False),
        ("python", 8, "", False),
        ("sh", 12, "", True),
    ]
    player.play(found[0])
    with pytest.raises(AssertionError):
        player.play(found[1])
    player.close()
