"""``gqm set-password``, ``remove-user``, ``list-users``, ``hash-password``: who may sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from gqm.config.formats import USER_NAME
from gqm_cli import completion
from gqm_cli.diagnostics import CommandFailed
from gqm_cli.editing import Role, given_name, report
from gqm_cli.options import DEFAULT_FILE, ConfigFile, Json, Yes
from gqm_cli.output import say, say_json, table
from gqm_cli.passwords import DEFAULT_COST, hash_password
from gqm_cli.prompts import ask_password, confirm, read_line

if TYPE_CHECKING:
    from gqm_cli.accounts import Entry, UserChange

User: TypeAlias = Annotated[
    str | None, typer.Argument(metavar="USER", autocompletion=completion.users, help="Name of the user.")
]
UserOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--user", metavar="USER", autocompletion=completion.users, help="The same as an option."),
]


def set_password(
    user: User = None,
    user_option: UserOption = None,
    role: Annotated[
        Role | None,
        typer.Option(
            "--role",
            metavar="ROLE",
            help="admin or viewer (default: as it is; admin for the first user, viewer for others).",
        ),
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the password from stdin, one line.")] = False,
    config: ConfigFile = None,
) -> None:
    """Set a user's password; a user who is not there is added.

    The password, 8 to 72 bytes long, is asked for on the terminal. Only its hash is stored. Signing in is
    turned on with it: auth.enabled becomes true.

    \f
    gqm set-password ana
    gqm set-password ana --role viewer --stdin < password.txt
    """
    from gqm_cli.accounts import with_user
    from gqm_cli.config_file import edit, read_text

    name, file = given_name("USER", user, user_option, USER_NAME), config or DEFAULT_FILE
    read_text(file)  # a file that cannot be edited is told before anybody types a password
    password = read_line("the password") if stdin else ask_password()
    password_hash = hash_password(password, user=name)

    def change(text: str) -> tuple[str, UserChange]:
        changed = with_user(text, name, password_hash, role.value if role else None)
        return changed.text, changed

    written, told = edit(file, change)
    if told.created:
        lines = [f'added user "{name}" ({told.role}) to {file}']
    else:
        lines = [f'changed the password of "{name}" ({told.role}) in {file}']
    if told.enabled:
        lines.append("signing in is turned on now: auth.enabled is true")
    report(file, written, *lines)


def remove_user(
    user: User = None, user_option: UserOption = None, yes: Yes = False, config: ConfigFile = None
) -> None:
    """Remove a user. The last admin stays.

    \f
    gqm remove-user ana
    gqm remove-user ana --yes
    """
    from gqm_cli.accounts import without_user
    from gqm_cli.config_file import edit, look

    name, file = given_name("USER", user, user_option, USER_NAME), config or DEFAULT_FILE
    entry = look(file, lambda text: _removable(text, name, file))
    confirm(f'Remove user "{name}" ({entry.role})', yes=yes)

    def change(text: str) -> tuple[str, None]:
        _removable(text, name, file)
        return without_user(text, name), None

    written, _ = edit(file, change)
    report(file, written, f'removed user "{name}" from {file}')


def _removable(text: str, name: str, file: str) -> Entry:
    """Return the user to be removed. Raises `CommandFailed` for an unknown one and for the last admin."""
    from gqm_cli.accounts import ADMIN, users_of

    users = users_of(text)
    entry = next((entry for entry in users if entry.name == name), None)
    if entry is None:
        raise CommandFailed(f'there is no user "{name}" in {file}', code="NOT_FOUND")
    if entry.role == ADMIN and [other.role for other in users].count(ADMIN) == 1:
        raise CommandFailed(f'"{name}" is the only admin in {file}; make somebody else an admin first')
    return entry


def list_users(json: Json = False, config: ConfigFile = None) -> None:
    """List the users, with their roles.

    \f
    gqm list-users
    gqm list-users --json
    """
    from gqm.config import load_config

    users = load_config(config or DEFAULT_FILE).monitoring.auth.users
    if json:
        found = [
            {"username": user.username, "role": user.role, "password": bool(user.password_hash)}
            for user in users
        ]
        say_json({"users": found})
    else:
        rows = [(user.username, user.role, "set" if user.password_hash else "none yet") for user in users]
        table(("USER", "ROLE", "PASSWORD"), rows)


def hash_password_command(
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the password from stdin, one line.")] = False,
    cost: Annotated[
        int,
        typer.Option("--cost", metavar="N", min=10, max=16, help="Cost of bcrypt, 10 to 16 (default: 12)."),
    ] = DEFAULT_COST,
) -> None:
    """Print the bcrypt hash of a password, for password_hash.

    The password is asked for on the terminal; an argument would show in the process list.

    \f
    gqm hash-password
    gqm hash-password --stdin < password.txt
    """
    say(hash_password(read_line("the password") if stdin else ask_password(), cost=cost))
