"""``gqm add-api-key``, ``revoke-api-key``, ``list-api-keys``, ``generate-api-key``: keys for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from gqm.config.formats import KEY_NAME
from gqm_cli import completion
from gqm_cli.diagnostics import CommandFailed
from gqm_cli.editing import Role, given_name, report
from gqm_cli.options import DEFAULT_FILE, ConfigFile, Json, Yes
from gqm_cli.output import say, say_json, table
from gqm_cli.passwords import check_key, hash_key, new_key
from gqm_cli.prompts import confirm, read_line

if TYPE_CHECKING:
    from gqm.config import ApiKeyConfig

Name: TypeAlias = Annotated[
    str | None, typer.Argument(metavar="NAME", autocompletion=completion.api_keys, help="Name of the key.")
]
NameOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", autocompletion=completion.api_keys, help="The same as an option."),
]


def add_api_key(
    name: Name = None,
    name_option: NameOption = None,
    role: Annotated[
        Role | None,
        typer.Option("--role", metavar="ROLE", help="admin or viewer (default: as it is, else viewer)."),
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read a key of your own from stdin, one line.")
    ] = False,
    json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Add an API key and print it.

    It is shown this once: only its hash is stored. An entry of that name without a usable key is filled in.

    \f
    gqm add-api-key grafana
    KEY=$(gqm add-api-key deploy --role admin)
    """
    from gqm_cli.accounts import KeyInUse, with_api_key
    from gqm_cli.config_file import edit

    wanted, file = given_name("NAME", name, name_option, KEY_NAME), config or DEFAULT_FILE
    key = check_key(read_line("the key")) if stdin else new_key()

    def change(text: str) -> tuple[str, str]:
        try:
            return with_api_key(text, wanted, hash_key(key), role.value if role else None)
        except KeyInUse as exc:
            raise CommandFailed(
                f'API key "{wanted}" already exists ({file}:{exc.line}:{exc.column}); '
                "revoke it first or choose another name"
            ) from exc

    written, given = edit(file, change)
    if json:
        say_json({"name": wanted, "role": given, "key": key, "file": file})
    else:
        say(key)
    told = f'added API key "{wanted}" ({given}) to {file}'
    report(file, written, told, "it is shown this once: only its hash is stored")


def revoke_api_key(
    name: Name = None, name_option: NameOption = None, yes: Yes = False, config: ConfigFile = None
) -> None:
    """Remove an API key.

    \f
    gqm revoke-api-key grafana
    gqm revoke-api-key grafana --yes
    """
    from gqm_cli.accounts import without_api_key
    from gqm_cli.config_file import edit, look

    wanted, file = given_name("NAME", name, name_option, KEY_NAME), config or DEFAULT_FILE

    def change(text: str) -> tuple[str, None]:
        try:
            return without_api_key(text, wanted), None
        except KeyError:
            raise CommandFailed(f'there is no API key "{wanted}" in {file}', code="NOT_FOUND") from None

    look(file, change)
    confirm(f'Revoke API key "{wanted}"', yes=yes)
    written, _ = edit(file, change)
    report(file, written, f'revoked API key "{wanted}" in {file}')


def list_api_keys(json: Json = False, config: ConfigFile = None) -> None:
    """List the API keys, with their roles and how they are stored.

    \f
    gqm list-api-keys
    gqm list-api-keys --json
    """
    from gqm.config import load_config

    keys = load_config(config or DEFAULT_FILE).monitoring.api.api_keys
    if json:
        say_json({"api_keys": [{"name": key.name, "role": key.role, "stored": _stored(key)} for key in keys]})
    else:
        table(("NAME", "ROLE", "STORED"), [(key.name, key.role, _stored(key)) for key in keys])


def _stored(key: ApiKeyConfig) -> str:
    if key.key:
        return "clear"
    return "hash" if key.key_hash else "empty"


def generate_api_key(json: Json = False) -> None:
    """Print a new API key that is stored nowhere; --json shows its hash too, for key_hash.

    \f
    gqm generate-api-key
    gqm generate-api-key --json
    """
    key = new_key()
    if json:
        say_json({"key": key, "key_hash": hash_key(key)})
    else:
        say(key)
