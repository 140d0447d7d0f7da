"""All keys as a Markdown table, for the README: `python -m gqm_tui.keytable` prints it."""

import sys

from gqm_tui import keymap
from gqm_tui.screens.help import written

PLACES = {
    "app": "everywhere",
    "table": "tables",
    "list": "lists",
    "queues": "Queues",
    "jobs": "jobs of a queue",
    "failed": "Failed",
    "cron": "Cron",
    "dag": "DAG",
    "graph": "graph of jobs",
    "worker": "a worker",
    "job": "a job",
    "actions": "action log",
    "overview": "Overview",
}
"""How people call a scope of the keymap."""
BEGIN, END = "<!-- keys -->", "<!-- /keys -->"


def key_table() -> str:
    """Give one row for each place, with its keys in the order of the keymap."""
    rows = ["| Where | Keys |", "|---|---|"]
    for scope, keys in keymap.SCOPES.items():
        rows.append(f"| {PLACES[scope]} | {' · '.join(_told(key) for key in keys)} |")
    return "\n".join(rows)


def _told(key: keymap.Key) -> str:
    pressed = " ".join(f"`{written(one)}`" for one in key.keys.split(","))
    return f"{pressed} {key.text}"


def put_into(text: str) -> str:
    """Give a document with the table between its two marks. Raises ValueError where they are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{key_table()}\n{END}{after}"


if __name__ == "__main__":
    sys.stdout.write(f"{key_table()}\n")
