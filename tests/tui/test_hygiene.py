"""What the core of the terminal UI loads."""

from __future__ import annotations

import subprocess
import sys


def test_the_core_needs_neither_textual_nor_the_engine() -> None:
    """All modules of the core are imported; a plain look at the model does not even load httpx."""
    code = (
        "import sys, pkgutil, importlib\n"
        "import gqm_tui.core.client, gqm_tui.core.poll, gqm_tui.core.store\n"
        "print(*sorted(name for name in ('httpx', 'rich.console') if name in sys.modules))\n"
        "import gqm_tui.core as core\n"
        "for found in pkgutil.iter_modules(core.__path__):\n"
        "    importlib.import_module('gqm_tui.core.' + found.name)\n"
        "gqm_tui.core.client.HttpClient('http://127.0.0.1')._http\n"
        "heads = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(heads & {'textual', 'gqm', 'gqm_cli', 'redis', 'typer', 'yaml', 'httpx'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\nhttpx\n"
