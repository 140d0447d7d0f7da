"""JSON rules: what is refused, and that depth is counted right in any text."""

from __future__ import annotations

import dataclasses
import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqm.jsontext import MAX_DEPTH, NotJSON, check_depth, decode_json, encode_json


def nested(levels: int, *, inner: Any = 1, kind: str = "list") -> Any:
    value = inner
    for _ in range(levels):
        value = [value] if kind == "list" else {"k": value}
    return value


@dataclasses.dataclass
class Point:
    x: float
    tags: list[float] = dataclasses.field(default_factory=list)


class Shape(msgspec.Struct):
    points: list[Point]


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        {"a": float("nan")},
        {"a": [1, (None, -float("inf"))]},
        {float("nan"): 1},
        {"a": {float("inf"): 1}},
        Point(float("nan")),
        Point(1, [float("inf")]),
        Shape([Point(0, [float("nan")])]),
        {"deep": [Shape([Point(float("inf"))])]},
    ],
)
def test_nan_and_infinity_are_refused_wherever_they_hide(value: object) -> None:
    with pytest.raises(NotJSON, match="is not a JSON number"):
        encode_json(value)


def test_raw_json_passes_as_it_is() -> None:
    raw = msgspec.Raw(b'{"a":null,"n":123456789012345678901234567890}')
    assert encode_json(raw) == bytes(raw)
    assert encode_json({"in": [raw]}) == b'{"in":[%b]}' % bytes(raw)


def test_null_and_texts_that_look_like_nan_pass() -> None:
    value = {"a": None, "b": "nan", "c": "inf", "d": ["null", "-inf"], "e": Decimal("1.5")}
    assert encode_json(value) == b'{"a":null,"b":"nan","c":"inf","d":["null","-inf"],"e":"1.5"}'


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, {"a": ["x\ud834"]}])
def test_lone_surrogates_are_refused(value: object) -> None:
    with pytest.raises(NotJSON, match="lone surrogate"):
        encode_json(value)


def test_text_outside_the_basic_plane_passes() -> None:
    assert decode_json(encode_json({"a": "𝄞\0‮"})) == {"a": "𝄞\0‮"}


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_depth_128_passes_and_129_does_not(kind: str) -> None:
    assert encode_json(nested(MAX_DEPTH, kind=kind))
    with pytest.raises(NotJSON, match="deeper than 128"):
        encode_json(nested(MAX_DEPTH + 1, kind=kind))
    with pytest.raises(NotJSON, match="deeper than 128"):
        encode_json(nested(100_000, kind=kind))


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(NotJSON, match="deeper than 128"):
        encode_json(loop)


def test_brackets_in_texts_do_not_count() -> None:
    wide = {"rows": [{"text": '[[[{{{\\"[', "end\\": ']}"'} for _ in range(500)]}
    assert encode_json(wide)
    hidden = ["]" * 300, nested(MAX_DEPTH)]
    with pytest.raises(NotJSON):
        encode_json(hidden)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


leaves = st.none() | st.booleans() | st.integers() | st.text('[]{}"\\ab', max_size=8)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\', max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(trees, st.integers(MAX_DEPTH - 8, MAX_DEPTH + 2))
def test_depth_is_counted_as_a_walk_over_the_value_counts_it(tree: object, levels: int) -> None:
    value = nested(levels, inner=tree)
    text = json.dumps(value, separators=(",", ":")).encode()
    if depth_of(value) > MAX_DEPTH:
        with pytest.raises(NotJSON):
            check_depth(text)
    else:
        check_depth(text)


@given(trees)
def test_what_is_encoded_is_decoded_again(tree: object) -> None:
    assert decode_json(encode_json(tree)) == tree


@pytest.mark.fault(61)
@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**64, 2**200, -(2**100)])
def test_integers_are_exact(number: int) -> None:
    assert decode_json(encode_json([number])) == [number]


@pytest.mark.parametrize(
    "value", [object(), {None: 1}, {(1, 2): 3}, 1j, print, [10**5000]], ids=lambda v: type(v).__name__
)
def test_what_json_does_not_know_is_refused(value: object) -> None:
    with pytest.raises(NotJSON):
        encode_json({"a": value})


def test_common_python_types_are_encoded() -> None:
    value = {
        "when": datetime(2025, 1, 2, tzinfo=UTC),
        "id": uuid.UUID(int=1),
        "point": Point(1.5),
        "set": {1},
        3: "int key",
    }
    assert encode_json(value) == (
        b'{"when":"2025-01-02T00:00:00Z","id":"00000000-0000-0000-0000-000000000001",'
        b'"point":{"x":1.5,"tags":[]},"set":[1],"3":"int key"}'
    )


@pytest.mark.parametrize(
    "text", [b"", b"{", b"nul", b"NaN", b"\xff", b'"\xff"', b"1e999", b"1" * 5000, b"[" * 100_000, b"[1,]"]
)
def test_broken_text_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_json(text)
