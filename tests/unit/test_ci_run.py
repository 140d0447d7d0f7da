"""The check script takes its commands from the README, and stops when it cannot find them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "run"

README = """# A project

<!-- ci:install -->
```bash
pip install "a[b]"   # as it stands
```

Text between.

  <!-- ci:test -->

```console
pip install -e ".[dev]" &&
  pytest
```
"""


def run(folder: Path, readme: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / ".ci").mkdir()
    shutil.copy(SCRIPT, folder / ".ci" / "run")
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return subprocess.run(
        [folder / ".ci" / "run", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )


@pytest.mark.parametrize(
    ("step", "commands"),
    [
        ("install", 'pip install "a[b]"   # as it stands\n'),
        ("test", 'pip install -e ".[dev]" &&\n  pytest\n'),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_commands_are_those_of_the_readme(
    tmp_path: Path, step: str, commands: str, line_end: str
) -> None:
    done = run(tmp_path, README.replace("\n", line_end), "--print", step)
    assert (done.returncode, done.stdout, done.stderr) == (0, commands, "")


@pytest.mark.parametrize(
    ("readme", "why"),
    [
        ("", "the marker <!-- ci:test --> is missing"),
        (README.replace("ci:test", "ci:tests"), "the marker <!-- ci:test --> is missing"),
        (README.replace("```console", "Then:\n```console"), "no code block right behind <!-- ci:test -->"),
        ("<!-- ci:test -->\n", "the code block behind <!-- ci:test --> is not closed"),
        ("<!-- ci:test -->\n```\npytest\n", "the code block behind <!-- ci:test --> is not closed"),
        ("<!-- ci:test -->\n```\n\n```\n", "the code block behind <!-- ci:test --> is empty"),
        (README + README, "the marker <!-- ci:test --> stands there twice"),
    ],
)
def test_a_readme_without_the_commands_stops_the_script(tmp_path: Path, readme: str, why: str) -> None:
    done = run(tmp_path, readme, "--print", "test")
    assert done.returncode != 0
    assert done.stdout == ""
    assert why in done.stderr


def test_a_missing_marker_stops_it_before_anything_is_installed(tmp_path: Path) -> None:
    done = run(tmp_path, README.replace("ci:test", "ci:tests"))
    assert done.returncode != 0
    assert "==>" not in done.stdout
    assert "<!-- ci:test --> is missing" in done.stderr


def test_an_unknown_argument_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, README, "--fast")
    assert done.returncode != 0
    assert "unknown argument --fast" in done.stderr


@pytest.mark.parametrize(("step", "command"), [("install", "pip install"), ("test", "pytest")])
def test_the_readme_of_this_project_has_both(step: str, command: str) -> None:
    done = subprocess.run(
        [SCRIPT, "--print", step], capture_output=True, text=True, timeout=60, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    assert command in done.stdout
