"""Key names: no two things share one, and a prefix is what it says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqm import keys as module
from gqm.keys import MAX_PREFIX, Keys, full_prefix

job_ids = st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True)
# names that look like parts of keys, to make clashes likely
names = st.from_regex(r"[A-Za-z0-9._:-]{1,12}", fullmatch=True) | st.sampled_from(
    ["ready", "a:ready", "ready:processing", "x:minute:5", "minute", "x:processed", "ledger", "a:ledger:b"]
)
server_ids = st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True)
days = st.dates().map(lambda day: day.isoformat())

outcomes = st.sampled_from(["processed", "failed"])
FIXED = tuple(name for name in Keys.__slots__ if name != "prefix")
PARTS: dict[str, tuple[st.SearchStrategy[object], ...]] = {
    **dict.fromkeys(FIXED, ()),
    **dict.fromkeys(("job", "deps", "pending_deps", "dependents", "children", "attempts"), (job_ids,)),
    **dict.fromkeys(("ready", "processing", "completed", "dead_letter", "canceled", "ledger"), (names,)),
    **dict.fromkeys(("server", "claims"), (server_ids,)),
    **dict.fromkeys(("cron_lock", "cron_current", "cron_active", "cron_history"), (job_ids,)),
    "day": (names, outcomes, days),
    "total": (names, outcomes),
    "minute": (names, st.integers(0, 99_999_999)),
    "worker": (st.builds("{}@{}".format, names, server_ids),),
}
things = st.sampled_from(sorted(PARTS)).flatmap(lambda kind: st.tuples(st.just(kind), *PARTS[kind]))
"""Things that have a key: their kind, and what tells them from others of the kind."""


def key_of(keys: Keys, thing: tuple[object, ...]) -> str:
    kind, *parts = thing
    member: str | Callable[..., str] = getattr(keys, str(kind))
    return member if isinstance(member, str) else member(*parts)


@given(st.lists(things, max_size=40))
def test_different_things_have_different_keys(found: list[tuple[object, ...]]) -> None:
    keys = Keys("gqm:")
    by_key: dict[str, tuple[object, ...]] = {}
    for thing in found:
        key = key_of(keys, thing)
        assert key.startswith("gqm:")
        assert by_key.setdefault(key, thing) == thing


@given(things, things, st.sampled_from(["a:", "a:b:", "ab:"]))
def test_key_spaces_of_different_prefixes_are_apart(
    one: tuple[object, ...], other: tuple[object, ...], prefix: str
) -> None:
    assert key_of(Keys("{x}:"), one) != key_of(Keys(prefix), other)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=20))
def test_login_keys_do_not_clash_whatever_the_names_are(one: str, other: str, address: str) -> None:
    keys = Keys("gqm:")
    assert (keys.login_pair(address, one) == keys.login_pair(address, other)) == (one == other)
    assert re.fullmatch(r"[0-9a-f]{16}", keys.login_pair(address, one).rpartition(":")[2])
    assert keys.login_pair(address, "\ud800")


PLACEHOLDERS = {
    "queue": "{q}",
    "job_id": "{id}",
    "server_id": "{sid}",
    "worker_id": "{pool}@{sid}",
    "entry": "{c}",
    "token_sha256": "{sha256}",
    "user": "{user}",
    "address": "{address}",
    "name": "processed",
    "day": "{YYYY-MM-DD}",
    "minute": "{unix minute}",
}


def test_every_key_is_listed_in_the_table() -> None:
    keys = Keys("")
    for name, member in inspect.getmembers(keys):
        if name.startswith("_") or name == "prefix":
            continue
        if not isinstance(member, str):
            member = member(*(PLACEHOLDERS[parameter] for parameter in inspect.signature(member).parameters))
        member = re.sub(r"[0-9a-f]{16}$", "{hash}", member)
        assert f"``{member}``" in str(module.__doc__), name


@pytest.mark.parametrize(
    ("prefix", "exact", "full"),
    [
        ("gqm:", False, "gqm:"),
        ("gqm", False, "gqm:"),
        ("gqm", True, "gqm"),
        ("a:b", False, "a:b:"),
        ("{gqm}", False, "{gqm}:"),
        ("{gqm}:", False, "{gqm}:"),
        ("app-{t.1}_x", False, "app-{t.1}_x:"),
        ("", True, ""),
        ("p" * MAX_PREFIX, True, "p" * MAX_PREFIX),
    ],
)
def test_prefix_ends_with_a_colon_unless_exact(prefix: str, exact: bool, full: str) -> None:
    assert full_prefix(prefix, exact=exact) == full
    assert Keys(full).queues == f"{full}queues"


@pytest.mark.parametrize(
    "prefix", ["a b", "a*", "a?", "[a]", "{}", "{a}{b}", "{a", "a}", "é", "a\n", "p" * 65]
)
def test_prefix_that_no_key_may_have(prefix: str) -> None:
    with pytest.raises(ValueError, match="allowed are letters, digits"):
        full_prefix(prefix)
