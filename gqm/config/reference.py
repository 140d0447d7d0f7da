"""The page ``docs/configuration.md``: every key with type, default, range and meaning."""

from __future__ import annotations

from gqm.config.environment import VARIABLES
from gqm.config.keys import Key, keys_of
from gqm.config.model import Config
from gqm.config.overrides import option_paths
from gqm.config.values import Kind, Section, Sections, Tls

__all__ = ["reference"]

_HEAD = """\
# Configuration

<!-- Generated from the model of the configuration by `python -m gqm.config`; edit that instead. -->

One YAML file, `gqm.yaml` unless another is named, holds everything about a server. `gqm init` writes one
in which every key of this page stands once, and `gqm check` lists everything that is wrong with a file.
Editors that know JSON schema complete and check it with [`gqm.schema.json`](gqm.schema.json).

All keys are optional unless the tables say "required". A key without a value, or with `null`, counts as
not given; so does an empty text. Unknown keys are errors. Relative paths start at the folder of the
file.

## Values

| Type | Written as |
|---|---|
| int | decimal, `_` between digits is allowed: `10_000` |
| number | int, or a decimal such as `0.25` |
| bool | `true` `false` `yes` `no` `on` `off` `y` `n`, without quotes |
| text | anything; without quotes, `0123` and `true` are taken as they are written |
| duration | whole seconds, or groups of number and unit, largest first: `500ms`, `30s`, `1h30m`, `7d` |
| list | a YAML list, also of one item |

`${NAME}` in a value reads the environment, `${NAME:-default}` gives a default for a variable that is
unset or empty, and `$${` writes `${`. The text of a variable is converted to the type of the key, so
`concurrency: ${WORKERS:-4}` works; it is never read as YAML and never shown in a message.

## Problems

All problems of a file are reported at once, each as `file:line:column: key: text`, in three levels. An
*error* keeps everything from starting. *Incomplete* is a file that is right but lacks a secret: `gqm
set-password` and `gqm add-api-key` fill it in, and until then a server with the API on does not start. A
*warning* marks what works but is probably not meant.

## What counts

An option in code or on the command line beats the file, the file beats the environment, and that beats
the default, key by key. Lists are replaced as a whole, but pools and cron entries of code stand beside
those of the file, and `--handlers` adds to `app.handlers`. All rules apply to the result, wherever a
value came from; in problems of code, `code` stands in the place of file, line and column.

"""


def reference() -> str:
    """Return the text of the page, generated from the model."""
    parts = [_HEAD, _variables()]
    for name, known in keys_of(Config).items():
        parts += _section(name, known)
    return "".join([*parts, _options()])


def _variables() -> str:
    rows = [f"| `{name}` | `{path}` |" for name, path in VARIABLES.items()]
    return _table("| Variable | Stands for, when nothing else gives it |", 2, rows)


def _section(path: str, known: Key) -> list[str]:
    is_list = isinstance(known.kind, Sections)
    title = f"## {path}{'[]' if is_list else ''}\n\n{known.doc[0].upper()}{known.doc[1:]}.\n\n"
    model = _model(known.kind)
    if model is None:
        return []
    inner = [(f"{path}{'[]' if is_list else ''}.{name}", key) for name, key in keys_of(model).items()]
    rows = [_row(key.name, key) for _, key in inner if not isinstance(key.kind, Section | Sections)]
    parts = [title, _table("| Key | Type | Default | Allowed | Meaning |", 5, rows)] if rows else []
    for below, key in inner:
        parts += _section(below, key)
    return parts


def _model(kind: Kind) -> type | None:
    return kind.model if isinstance(kind, Section | Sections | Tls) else None


def _row(name: str, known: Key) -> str:
    default = known.default_words
    plain = known.required or known.unset or default == "none"
    cells = (f"`{name}`", known.type_name, default if plain else f"`{default}`", known.allowed, known.doc)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _options() -> str:
    rows = [f"| `{name}` | `{path}` |" for name, path in sorted(option_paths().items())]
    text = (
        "## Options in code\n\n"
        "`Server` takes these keywords; `Client` and `AsyncClient` take those of `redis`. `redis=` is an\n"
        "address, a URL, or a client that exists already; it replaces all of `redis` but the prefix.\n\n"
    )
    return text + _table("| Keyword | Key |", 2, rows).rstrip("\n") + "\n"


def _table(head: str, columns: int, rows: list[str]) -> str:
    return "\n".join([head, "|---" * columns + "|", *rows]) + "\n\n"
