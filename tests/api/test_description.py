"""Every route of the description, called with generated input: no failure, no undescribed answer."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.api.support import ADMIN_KEY, SIGN_IN, VIEWER_KEY
from tests.api.world import World, world

OPTIONS = {**SIGN_IN, "dashboard": True, "rate_limit": -1}
NOT_FOR_BODIES = "positive_data_acceptance"
"""A check that knows nothing of rules over several fields, such as the depth of a page."""


def call_all(found: World, folder: Path, *words: str, key: str | None) -> None:
    """Let schemathesis call every route but the endless one; fail with what it says."""
    program = Path(sysconfig.get_path("scripts")) / "schemathesis"
    where = f"http://127.0.0.1:{found.api.port}/openapi.json"
    command = [str(program), "run", where, "--exclude-path", "/api/v1/events", "--seed", "1", *words]
    command += ["--continue-on-failure", "--request-timeout", "10"]
    if key is not None:
        command += ["--header", f"X-API-Key: {key}"]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Tested: 5" in done.stdout, "it called all routes"
    assert found.api.get("/health").status == 200


@pytest.mark.security(15)
def test_edge_values_of_every_parameter(redis_socket: str, prefix: str, tmp_path: Path) -> None:
    checks = ("--checks", "all", "--exclude-checks", NOT_FOR_BODIES)
    with world(redis_socket, prefix, **OPTIONS) as found:
        call_all(found, tmp_path, "--phases", "coverage", *checks, key=ADMIN_KEY)
        call_all(found, tmp_path, "--phases", "coverage", *checks, key=None)


# In a comma list a "wrong" value with a comma is two right ones, which the generator does not know.
FUZZING = ("--phases", "fuzzing", "--checks", "all")
FUZZING_CHECKS = ("--exclude-checks", f"{NOT_FOR_BODIES},negative_data_rejection")


def test_random_calls(redis_socket: str, prefix: str, tmp_path: Path) -> None:
    with world(redis_socket, prefix, **OPTIONS) as found:
        call_all(found, tmp_path, *FUZZING, *FUZZING_CHECKS, "--max-examples", "8", key=ADMIN_KEY)
        call_all(found, tmp_path, *FUZZING, *FUZZING_CHECKS, "--max-examples", "3", key=None)


@pytest.mark.slow
@pytest.mark.parametrize("key", [ADMIN_KEY, VIEWER_KEY, None])
def test_many_random_calls(redis_socket: str, prefix: str, tmp_path: Path, key: str | None) -> None:
    with world(redis_socket, prefix, **OPTIONS) as found:
        call_all(found, tmp_path, *FUZZING, *FUZZING_CHECKS, "--max-examples", "300", key=key)
