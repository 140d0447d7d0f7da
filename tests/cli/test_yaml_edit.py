"""Editing YAML in places: every layout a file may have, and not a byte more than the change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gqm.config.marks import NotEditable, mark
from gqm.config.tree import Fields, Items, Node, Scalar
from gqm.config.yaml_text import parse_yaml
from gqm_cli.accounts import KeyInUse, users_of, with_api_key, with_user, without_api_key, without_user
from gqm_cli.yaml_edit import Editor, EditRefused

HASH = "sha256:" + "a" * 64
Edit = Callable[[str], str]


def set_ana(text: str) -> str:
    return with_user(text, "ana", "$2b$12$x", None).text


def set_ana_as_viewer(text: str) -> str:
    return with_user(text, "ana", "$2b$12$x", "viewer").text


def remove_ana(text: str) -> str:
    return without_user(text, "ana")


def add_key(text: str) -> str:
    return with_api_key(text, "graf", HASH, None)[0]


def add_admin_key(text: str) -> str:
    return with_api_key(text, "graf", HASH, "admin")[0]


def revoke_key(text: str) -> str:
    return without_api_key(text, "graf")


# "»" is one step of indentation, "HASH" the hash of a key.
ON = "monitoring:\n»auth:\n»»enabled: true\n"
CASES: dict[str, tuple[Edit, str, str]] = {
    # missing sections
    "nothing but another section": (
        set_ana,
        "app:\n»log_level: info\nredis:\n»tls:\n»»insecure: true\n",
        "app:\n»log_level: info\nredis:\n»tls:\n»»insecure: true\n"
        "monitoring:\n»auth:\n»»enabled: true\n»»users:\n"
        '»»»- username: "ana"\n»»»  password_hash: "$2b$12$x"\n»»»  role: "admin"\n',
    ),
    "the section without the list, before another section": (
        add_key,
        "monitoring:\n»api:\n»»addr: ':8080'  # here\n\n# next\nredis:\n»db: 0\n",
        "monitoring:\n»api:\n»»addr: ':8080'  # here\n»»api_keys:\n"
        '»»»- name: "graf"\n»»»  key_hash: "HASH"\n»»»  role: "viewer"\n\n# next\nredis:\n»db: 0\n',
    ),
    "the outer section without the inner one": (
        add_key,
        "monitoring:\n»dashboard:\n»»enabled: false # off\n# end\n",
        "monitoring:\n»dashboard:\n»»enabled: false # off\n»api:\n»»api_keys:\n"
        '»»»- name: "graf"\n»»»  key_hash: "HASH"\n»»»  role: "viewer"\n# end\n',
    ),
    # null and empty values
    "a null section": (
        add_key,
        "monitoring:\n»auth:\n»»enabled: no\n»api:\n",
        "monitoring:\n»auth:\n»»enabled: no\n»api:\n»»api_keys:\n"
        '»»»- name: "graf"\n»»»  key_hash: "HASH"\n»»»  role: "viewer"\n',
    ),
    "a null list with comments around": (
        add_key,
        "monitoring:\n»api:  # the API\n»»api_keys:   # for programs\n»»»# - name: example\n»»addr: ':1'\n",
        "monitoring:\n»api:  # the API\n»»api_keys:   # for programs\n"
        '»»»- name: "graf"\n»»»  key_hash: "HASH"\n»»»  role: "viewer"\n'
        "»»»# - name: example\n»»addr: ':1'\n",
    ),
    "an empty list": (
        add_key,
        "monitoring:\n»api:\n»»api_keys: []  # none\n»»addr: ':1'\n",
        "monitoring:\n»api:\n»»api_keys:  # none\n"
        '»»»- name: "graf"\n»»»  key_hash: "HASH"\n»»»  role: "viewer"\n»»addr: \':1\'\n',
    ),
    "an empty mapping instead of a list": (
        add_key,
        "monitoring:\n»api:\n»»api_keys: {}\n",
        'monitoring:\n»api:\n»»api_keys:\n»»»- name: "graf"\n»»»  key_hash: "HASH"\n»»»  role: "viewer"\n',
    ),
    "a written null": (
        set_ana,
        ON + "»»users: ~ # nobody\n",
        ON + '»»users: # nobody\n»»»- username: "ana"\n»»»  password_hash: "$2b$12$x"\n»»»  role: "admin"\n',
    ),
    "a null flag": (
        set_ana_as_viewer,
        "monitoring:\n»auth:\n»»enabled:   # ?\n»»users:\n»»»- {username: ana, password_hash: ''}\n",
        "monitoring:\n»auth:\n»»enabled: true   # ?\n»»users:\n"
        '»»»- {username: ana, password_hash: "$2b$12$x"}\n',
    ),
    # scalars
    "only the bytes of the scalars": (
        set_ana,
        "monitoring:\n»auth:\n»»enabled: false      # login\n»»users:\n"
        "»»»- username: ana   # me\n»»»  password_hash: ''   # secret\n»»»  role: viewer\n",
        "monitoring:\n»auth:\n»»enabled: true      # login\n»»users:\n"
        '»»»- username: ana   # me\n»»»  password_hash: "$2b$12$x"   # secret\n»»»  role: viewer\n',
    ),
    "a hash over several lines": (
        set_ana,
        ON + "»»users:\n»»»- username: ana\n»»»  password_hash: >-\n»»»    $2b$12$\n»»»    old\n\n"
        "»»»  role: admin\n",
        ON + '»»users:\n»»»- username: ana\n»»»  password_hash: "$2b$12$x"\n\n»»»  role: admin\n',
    ),
    "a missing key of an item": (
        set_ana_as_viewer,
        ON + "»»users:\n»»»- username: ana  # me\n»»»  role: admin\n»»»- username: bob\n",
        ON + '»»users:\n»»»- username: ana  # me\n»»»  role: "viewer"\n'
        '»»»  password_hash: "$2b$12$x"\n»»»- username: bob\n',
    ),
    "yes in another spelling stays": (
        set_ana,
        "monitoring:\n»auth:\n»»enabled: On\n»»users:\n»»»- username: ana\n»»»  password_hash: old\n",
        'monitoring:\n»auth:\n»»enabled: On\n»»users:\n»»»- username: ana\n»»»  password_hash: "$2b$12$x"\n',
    ),
    "a flag from the environment stays": (
        set_ana,
        "monitoring:\n»auth:\n»»enabled: ${AUTH:-true}\n»»users:\n»»»- username: ana\n"
        "»»»  password_hash: o\n",
        "monitoring:\n»auth:\n»»enabled: ${AUTH:-true}\n»»users:\n»»»- username: ana\n"
        '»»»  password_hash: "$2b$12$x"\n',
    ),
    "an empty key becomes a hash on its line": (
        add_key,
        'monitoring:\n»api:\n»»api_keys:\n»»»- name: graf\n»»»  key: ""      # fill me\n»»»  role: admin\n',
        "monitoring:\n»api:\n»»api_keys:\n»»»- name: graf\n"
        '»»»  key_hash: "HASH"      # fill me\n»»»  role: admin\n',
    ),
    "a null key becomes a hash on its line": (
        add_key,
        "monitoring:\n»api:\n»»api_keys:\n»»»- name: graf\n»»»  key:   # fill me\n",
        'monitoring:\n»api:\n»»api_keys:\n»»»- name: graf\n»»»  key_hash: "HASH"   # fill me\n',
    ),
    "a short key is replaced, the role given": (
        add_admin_key,
        "monitoring:\n»api:\n»»api_keys:\n»»»- name: graf\n»»»  key: short\n»»»  role: viewer # r\n",
        'monitoring:\n»api:\n»»api_keys:\n»»»- name: graf\n»»»  key_hash: "HASH"\n»»»  role: "admin" # r\n',
    ),
    "an empty hash is filled": (
        add_key,
        "monitoring:\n»api:\n»»api_keys:\n»»»- name: graf\n»»»  key_hash:\n»»»  role: viewer\n",
        'monitoring:\n»api:\n»»api_keys:\n»»»- name: graf\n»»»  key_hash: "HASH"\n»»»  role: viewer\n',
    ),
    "key and hash both bad": (
        add_key,
        "monitoring:\n»api:\n»»api_keys:\n»»»- name: graf\n»»»  key: short\n»»»  key_hash: bad\n",
        'monitoring:\n»api:\n»»api_keys:\n»»»- name: graf\n»»»  key: ""\n»»»  key_hash: "HASH"\n',
    ),
    # more items
    "one more item, with the comments behind the last": (
        set_ana,
        ON + "»»users:\n»»»- username: bob\n»»»  password_hash: ''  # later\n»»»  # role: admin\n"
        "»»»# - username: example\n»api:\n",
        ON + "»»users:\n»»»- username: bob\n»»»  password_hash: ''  # later\n»»»  # role: admin\n"
        '»»»- username: "ana"\n»»»  password_hash: "$2b$12$x"\n»»»  role: "viewer"\n'
        "»»»# - username: example\n»api:\n",
    ),
    "dashes below the key": (
        set_ana,
        ON + "»»users:\n»»- username: bob\n»»  password_hash: ''\n»»session_ttl: 60\n",
        ON + "»»users:\n»»- username: bob\n»»  password_hash: ''\n"
        '»»- username: "ana"\n»»  password_hash: "$2b$12$x"\n»»  role: "viewer"\n»»session_ttl: 60\n',
    ),
    "dashes below the key of another list": (
        add_key,
        "queues:\n- name: low\nmonitoring:\n»api:\n»»api_keys:\n",
        "queues:\n- name: low\nmonitoring:\n»api:\n»»api_keys:\n"
        '»»- name: "graf"\n»»  key_hash: "HASH"\n»»  role: "viewer"\n',
    ),
    "wide dashes": (
        set_ana,
        ON + "»»users:\n»»»-   username: bob\n»»»    password_hash: ''\n",
        ON + "»»users:\n»»»-   username: bob\n»»»    password_hash: ''\n"
        '»»»-   username: "ana"\n»»»    password_hash: "$2b$12$x"\n»»»    role: "viewer"\n',
    ),
    "items on one line each": (
        set_ana,
        ON + "»»users:\n»»»- {username: bob, password_hash: ''}\n",
        ON + "»»users:\n»»»- {username: bob, password_hash: ''}\n"
        '»»»- username: "ana"\n»»»  password_hash: "$2b$12$x"\n»»»  role: "viewer"\n',
    ),
    # brackets
    "a list in brackets": (
        add_key,
        "monitoring:\n»api:\n»»api_keys: [{name: a, key: ''}] # c\n",
        "monitoring:\n»api:\n»»api_keys: [{name: a, key: ''}, "
        '{name: "graf", key_hash: "HASH", role: "viewer"}] # c\n',
    ),
    "a list in brackets over lines": (
        add_key,
        "monitoring:\n»api:\n»»api_keys: [\n»»»{name: a, key: ''},\n»»]\n",
        "monitoring:\n»api:\n»»api_keys: [\n»»»{name: a, key: ''},\n"
        '»»»{name: "graf", key_hash: "HASH", role: "viewer"},\n»»]\n',
    ),
    "all in braces": (
        add_key,
        "monitoring: {api: {addr: ':1'}}\n",
        'monitoring: {api: {addr: \':1\', api_keys: [{name: "graf", key_hash: "HASH", role: "viewer"}]}}\n',
    ),
    "empty braces": (
        add_key,
        "monitoring: {}\n",
        'monitoring: {api: {api_keys: [{name: "graf", key_hash: "HASH", role: "viewer"}]}}\n',
    ),
    "a null in braces": (
        add_key,
        "monitoring: {api: {api_keys: }}\n",
        'monitoring: {api: {api_keys: [{name: "graf", key_hash: "HASH", role: "viewer"}] }}\n',
    ),
    "a bare key in braces": (
        add_key,
        "monitoring: {api}\n",
        'monitoring: {api: {api_keys: [{name: "graf", key_hash: "HASH", role: "viewer"}]}}\n',
    ),
    "a whole file in braces": (
        add_key,
        "{redis: {db: 0}}\n",
        "{redis: {db: 0}, "
        'monitoring: {api: {api_keys: [{name: "graf", key_hash: "HASH", role: "viewer"}]}}}\n',
    ),
    "an empty key in braces": (
        add_key,
        "monitoring: {api: {api_keys: [{name: graf, key: '', role: admin}]}}\n",
        'monitoring: {api: {api_keys: [{name: graf, key_hash: "HASH", role: admin}]}}\n',
    ),
    # removal
    "the item with its comments": (
        remove_ana,
        ON + "»»users:\n»»»- username: bob\n»»»  password_hash: ''\n»»»# she left\n»»»# in May\n"
        "»»»- username: ana\n»»»  password_hash: ''\n»»»  # role: admin\n"
        "»»»# the last one\n»»»- username: cy\n",
        ON + "»»users:\n»»»- username: bob\n»»»  password_hash: ''\n»»»# the last one\n»»»- username: cy\n",
    ),
    "the first item": (
        remove_ana,
        ON + "»»users:\n»»»- username: ana\n»»»  password_hash: ''\n\n»»»# bob\n»»»- username: bob\n",
        ON + "»»users:\n\n»»»# bob\n»»»- username: bob\n",
    ),
    "the only item leaves brackets": (
        remove_ana,
        ON + "»»users:  # who\n»»»- username: ana\n»»»  password_hash: ''\n»»»# - username: example\n»api:\n",
        ON + "»»users: []  # who\n»»»# - username: example\n»api:\n",
    ),
    "the last item at the end of the file": (
        remove_ana,
        ON + "»»users:\n»»- username: bob\n»»- username: ana",
        ON + "»»users:\n»»- username: bob\n",
    ),
    "what is commented out above is no comment on it": (
        remove_ana,
        ON + "»»users:\n»»»# - username: example\n»»»#   role: admin\n»»»- username: ana\n",
        ON + "»»users: []\n»»»# - username: example\n»»»#   role: admin\n",
    ),
    "an item whose dash stands alone": (
        remove_ana,
        ON
        + "»»users:\n»»»-\n»»»  username: bob\n»»»-\n»»»  # c\n»»»  username: ana\n»»»-\n»»»  username: cy\n",
        ON + "»»users:\n»»»-\n»»»  username: bob\n»»»-\n»»»  username: cy\n",
    ),
    "from brackets: the first": (
        revoke_key,
        "monitoring:\n»api:\n»»api_keys: [{name: graf, key: ''}, {name: b, key: ''}]\n",
        "monitoring:\n»api:\n»»api_keys: [{name: b, key: ''}]\n",
    ),
    "from brackets: the last": (
        revoke_key,
        "monitoring:\n»api:\n»»api_keys: [{name: b, key: ''}, {name: graf, key: ''},]\n",
        "monitoring:\n»api:\n»»api_keys: [{name: b, key: ''},]\n",
    ),
    "from brackets: the only one": (
        revoke_key,
        "monitoring:\n»api:\n»»api_keys: [ {name: graf, key: ''}, ]\n",
        "monitoring:\n»api:\n»»api_keys: [ ]\n",
    ),
    # ends of files, other places
    "no line end at the end": (
        add_key,
        "redis:\n»tls:\n»»insecure: true",
        "redis:\n»tls:\n»»insecure: true\nmonitoring:\n»api:\n»»api_keys:\n"
        '»»»- name: "graf"\n»»»  key_hash: "HASH"\n»»»  role: "viewer"\n',
    ),
    "no line end behind the null list": (
        add_key,
        "monitoring:\n»api:\n»»api_keys:",
        'monitoring:\n»api:\n»»api_keys:\n»»»- name: "graf"\n»»»  key_hash: "HASH"\n»»»  role: "viewer"\n',
    ),
    "anchors and aliases elsewhere": (
        add_key,
        "x: &x {a: 1}\nredis: *x\nmonitoring:\n»api:\n»»api_keys: []\n",
        "x: &x {a: 1}\nredis: *x\nmonitoring:\n»api:\n»»api_keys:\n"
        '»»»- name: "graf"\n»»»  key_hash: "HASH"\n»»»  role: "viewer"\n',
    ),
    "an alias among the items": (
        set_ana,
        ON + "»»users:\n»»»- *bob\nx: 1\n",
        ON + "»»users:\n»»»- *bob\n"
        '»»»- username: "ana"\n»»»  password_hash: "$2b$12$x"\n»»»  role: "viewer"\nx: 1\n',
    ),
    "a byte order mark": (
        add_key,
        "\ufeffmonitoring:\n»api:\n»»api_keys: []\n",
        "\ufeffmonitoring:\n»api:\n»»api_keys:\n"
        '»»»- name: "graf"\n»»»  key_hash: "HASH"\n»»»  role: "viewer"\n',
    ),
    "quoted keys and wide characters": (
        add_key,
        "# é\U0001f600\n'monitoring':\n»\"api\" : # ü\n»»'api_keys' : []\n",
        "# é\U0001f600\n'monitoring':\n»\"api\" : # ü\n»»'api_keys' :\n"
        '»»»- name: "graf"\n»»»  key_hash: "HASH"\n»»»  role: "viewer"\n',
    ),
    "an empty list on a line of its own": (
        add_key,
        "monitoring:\n»api:\n»»api_keys: # c\n»»»[]\n»»addr: ':1'\n",
        "monitoring:\n»api:\n»»api_keys: # c\n\n"
        '»»»- name: "graf"\n»»»  key_hash: "HASH"\n»»»  role: "viewer"\n»»addr: \':1\'\n',
    ),
}


def laid_out(text: str, step: int, newline: str) -> str:
    return text.replace("»", " " * step).replace("\n", newline).replace("HASH", HASH)


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("step", [2, 4])
@pytest.mark.parametrize("case", CASES)
def test_the_change_and_nothing_else(case: str, step: int, newline: str) -> None:
    edit, before, after = CASES[case]
    assert edit(laid_out(before, step, newline)) == laid_out(after, step, newline)


@pytest.mark.fault(3)
@pytest.mark.parametrize("text", ["", "# only a comment\n", "\ufeff", "---\n", "\n\n", "# no line end"])
def test_a_file_without_anything_gets_the_sections(text: str) -> None:
    edited = set_ana(text)
    assert edited.startswith(text)
    assert [entry.name for entry in users_of(edited)] == ["ana"]


@pytest.mark.fault(4)
@pytest.mark.parametrize("name", ["true", "123", "null", "1e3", "~", "0x1f", "2026-07-01"])
def test_names_stay_text(name: str) -> None:
    text = with_user(with_api_key("", name, HASH, None)[0], name, "$2b$12$x", None).text
    root, problems = parse_yaml(text, "f")
    assert problems == ()
    assert f'username: "{name}"' in text
    assert f'name: "{name}"' in text
    assert "plain=True" not in repr(root).split("username")[1].split("password")[0]


@pytest.mark.parametrize(
    ("edit", "text", "subject", "said", "place"),
    [
        (set_ana, "monitoring: *m\nx: &m {}\n", '"monitoring"', "is an alias (*m)", (1, 13)),
        (set_ana, "x: &a {}\nmonitoring:\n  auth: *a\n", '"auth"', "is an alias (*a)", (3, 9)),
        (
            add_key,
            "x: &team []\nmonitoring:\n  api:\n    api_keys: *team\n",
            '"api_keys"',
            "alias (*team)",
            (4, 15),
        ),
        (set_ana, "monitoring: &m\n  auth: {}\n", '"monitoring"', "has an anchor (&m)", (1, 13)),
        (add_key, "monitoring:\n  api:\n    api_keys: &k []\n", '"api_keys"', "has an anchor (&k)", (3, 15)),
        (set_ana, "b: &b {}\nmonitoring:\n  <<: *b\n", '"monitoring"', "has a merge key", (3, 3)),
        (set_ana, "b: &b {}\n<<: *b\n", "the top level", "has a merge key", (2, 1)),
        (
            add_key,
            "monitoring:\n  api:\n    api_keys: none\n",
            '"api_keys"',
            "is a scalar, not a list",
            (3, 15),
        ),
        (
            add_key,
            "monitoring:\n  api:\n    api_keys: {a: 1}\n",
            '"api_keys"',
            "is a mapping, not a list",
            (3, 15),
        ),
        (add_key, "monitoring: [1]\n", '"monitoring"', "is a list, not a mapping", (1, 13)),
        (add_key, "monitoring: on\n", '"monitoring"', "is a scalar, not a mapping", (1, 13)),
        (
            set_ana,
            "x: &ana {username: ana}\nmonitoring:\n  auth: {enabled: true, users: [*ana]}\n",
            '"item"',
            "is an alias (*ana)",
            (3, 33),
        ),
        (
            set_ana,
            "monitoring:\n  auth:\n    users:\n      - username: ana\n        password_hash: &h x\n",
            '"password_hash"',
            "has an anchor (&h)",
            (5, 24),
        ),
    ],
)
def test_what_stands_for_something_elsewhere_is_refused(
    edit: Edit, text: str, subject: str, said: str, place: tuple[int, int]
) -> None:
    with pytest.raises(EditRefused) as caught:
        edit(text)
    assert caught.value.subject == subject
    assert said in str(caught.value)
    assert (caught.value.line, caught.value.column) == place


def test_a_key_in_use_is_not_replaced() -> None:
    for secret in (f"key: {'x' * 32}", f"key_hash: {HASH}", "key: ${KEY}", "key: ${KEY:-}"):
        text = f"monitoring:\n  api:\n    api_keys:\n      - name: graf\n        {secret}\n"
        with pytest.raises(KeyInUse) as caught:
            add_key(text)
        assert (caught.value.line, caught.value.column) == (4, 9)


def test_an_entry_that_an_anchor_names_is_found() -> None:
    text = (
        "x: &ana {username: ana, role: admin}\n"
        "monitoring: {auth: {users: [*ana, {<<: *ana, username: bob}]}}\n"
    )
    assert [(entry.name, entry.role) for entry in users_of(text)] == [("ana", "admin"), ("bob", "admin")]
    assert remove_ana(text).endswith("users: [{<<: *ana, username: bob}]}}\n")


@pytest.mark.parametrize("text", ["a: b: c\n", "a: [1\n", "\tx: 1\n", "- a\n---\n- b\n", "%YAML 9\n"])
def test_what_is_no_yaml_cannot_be_edited(text: str) -> None:
    with pytest.raises(NotEditable):
        mark(text)


# ------------------------------------------------------------------------------ for any file

names = st.text("abcxyz", min_size=1, max_size=6)
comments = st.sampled_from(["", "  # c", "   # - x: 1", " # é"])
blanks = st.sampled_from(["", "\n", "# note\n", "  # deep note\n", "\n\n"])


@st.composite
def files(draw: st.DrawFn) -> str:
    """A configuration with users and keys, laid out in any of many ways."""
    step = " " * draw(st.integers(1, 5))
    dash = draw(st.sampled_from(["", step]))
    inner = " " * draw(st.integers(1, 3))

    def items(indent: str, first: str, second: str) -> str:
        found = draw(st.lists(names, max_size=3, unique=True))
        if not found:
            return draw(st.sampled_from(["", " []", " ~", " null"])) + draw(comments) + "\n"
        text = draw(comments) + "\n"
        for name in found:
            quote = draw(st.sampled_from(["", '"', "'"]))
            text += f"{indent}{dash}-{inner}{first}: {quote}{name}{quote}{draw(comments)}\n"
            if draw(st.booleans()):
                text += f"{indent}{dash} {inner}{second}: ''{draw(comments)}\n"
            text += draw(blanks)
        return text

    parts = [f"redis:{draw(comments)}\n{step}db: 0\n{draw(blanks)}"]
    auth = (
        f"{step}auth:\n{step * 2}enabled: {draw(st.sampled_from(['true', 'false', 'yes']))}{draw(comments)}\n"
    )
    auth += f"{step * 2}users:{items(step * 2, 'username', 'password_hash')}{draw(blanks)}"
    api = f"{step}api:\n{step * 2}api_keys:{items(step * 2, 'name', 'key')}{draw(blanks)}"
    sections = draw(st.lists(st.sampled_from([auth, api]), unique=True, max_size=2))
    if sections:
        parts.append(f"monitoring:{draw(comments)}\n{''.join(sections)}")
    text = draw(blanks).join(draw(st.permutations(parts)))
    text = draw(st.sampled_from([text, text.rstrip("\n")]))
    return draw(st.sampled_from([text, text.replace("\n", "\r\n")]))


def replayed(text: str, editor: Editor) -> str:
    for change in editor.changes:
        text = text[: change.start] + change.new + text[change.end :]
    return text


def data_of(text: str) -> object:
    """What a text says, without where it stands."""
    root, problems = parse_yaml(text, "f")
    assert problems == ()

    def plain(node: Node | None) -> object:
        match node:
            case Fields(entries=entries):
                return {key: plain(entry.node) for key, entry in entries.items()}
            case Items(items=items):
                return [plain(item) for item in items]
            case Scalar(text=scalar, plain=bare):
                return None if bare and scalar in ("", "~", "null") else scalar
        return None

    return plain(root)


@settings(max_examples=150, deadline=None)
@given(files(), names)
def test_in_any_file_an_edit_changes_what_it_says_and_no_byte_around(text: str, name: str) -> None:
    path = ("monitoring", "auth", "users")
    editor = Editor(text)
    count = len(editor.list_items(*path))
    editor.append(path, {"username": name, "role": "viewer"})
    assert replayed(text, editor) == editor.text
    assert all(
        change.start == change.end or text[change.start : change.end].strip() in ("[]", "~", "null")
        for change in editor.changes
    )
    said, before = data_of(editor.text), data_of(text)
    assert isinstance(said, dict)
    users = said["monitoring"]["auth"]["users"]
    assert len(users) == count + 1
    assert users.pop() == {"username": name, "role": "viewer"}
    again = Editor(editor.text)
    again.remove(path, count)
    if count:  # and back again, but for a line end that the file did not have at its end
        assert again.text in (text, f"{text}\n", f"{text}\r\n")
        assert data_of(again.text) == before


@settings(max_examples=150, deadline=None)
@given(files(), names)
def test_in_any_file_a_password_can_be_set(text: str, name: str) -> None:
    done = with_user(text, name, "$2b$12$x", None)
    found = {entry.name: entry.fields["password_hash"] for entry in users_of(done.text) if entry.name == name}
    assert found == {name: "$2b$12$x"}
    others = [(e.name, e.fields) for e in users_of(text) if e.name != name]
    assert [(e.name, e.fields) for e in users_of(done.text) if e.name != name] == others
    assert len({line.endswith("\r") for line in done.text.split("\n")[:-1]}) == 1
