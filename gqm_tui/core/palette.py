"""What the palette finds for a typed text: fuzzy matches, best first; without a word, what was last taken."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

RUN = "run"
MOST_REMEMBERED = 20
"""How many of the entries that were taken are kept, newest first."""
_LEAST_SHARE = 0.5
_WHOLE, _WORD_START, _INSIDE, _SPREAD = 40.0, 30.0, 20.0, 10.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that can be taken.

    `id` is what the history keeps: a key's id, or the whole command. `text` and `note` are already safe for a
    terminal. `fill` is what tab writes into the palette, and `about` what a key would act upon.
    """

    id: str
    word: str
    text: str
    note: str = ""
    pressed: str = ""
    also: str = ""
    """Other words that find it."""
    locked: str | None = None
    about: str = ""
    fill: str = ""
    needs_more: bool = False
    """Whether it is only the beginning of a command."""


@dataclass(frozen=True, slots=True)
class Found:
    """An entry with how well it matches, and which characters of its text do."""

    entry: Entry
    score: float = 0.0
    marked: frozenset[int] = frozenset()


def split(typed: str, words: Iterable[str]) -> tuple[str, str]:
    """Give the command that a text begins with, and what comes behind it; without a command, "" and all."""
    word, _, rest = typed.strip().partition(" ")
    return (word.casefold(), rest.strip()) if word.casefold() in words else ("", typed.strip())


def match(typed: str, text: str, *, spread: bool = True) -> tuple[float, frozenset[int]] | None:
    """Tell how well every typed word is found in a text, and where; None when one is not found.

    A word counts most where it begins a word of the text, then anywhere as one piece, then, with `spread`, as
    its letters in their order with no more others between them.
    """
    hay, score, marked = _fold(text), 0.0, set[int]()
    for part in _fold(typed).split():
        found = _piece(part, hay) or (_spread(part, hay) if spread else None)
        if found is None:
            return None
        score += found[0]
        marked.update(found[1])
    return score, frozenset(marked)


def _fold(text: str) -> str:
    """Lower every letter that stays one letter, so that places are the same in both texts."""
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def _piece(part: str, hay: str) -> tuple[float, Sequence[int]] | None:
    places = [at for at in range(len(hay)) if hay.startswith(part, at)]
    if not places:
        return None
    at = next((at for at in places if _begins(hay, at)), places[0])
    whole = _begins(hay, at) and not hay[at + len(part) : at + len(part) + 1].isalnum()
    worth = _WHOLE if whole else _WORD_START if _begins(hay, at) else _INSIDE
    return worth - at / 100, range(at, at + len(part))


def _begins(hay: str, at: int) -> bool:
    return at == 0 or (at < len(hay) and hay[at].isalnum() and not hay[at - 1].isalnum())


def _spread(part: str, hay: str) -> tuple[float, Sequence[int]] | None:
    """Find the letters in their order, in the shortest stretch that has them."""
    best: list[int] | None = None
    for start in (at for at, char in enumerate(hay) if char == part[0]):
        places = [start]
        for char in part[1:]:
            if (at := hay.find(char, places[-1] + 1)) < 0:
                break
            places.append(at)
        if len(places) == len(part) and (best is None or places[-1] - start < best[-1] - best[0]):
            best = places
    if best is None or (share := len(best) / (best[-1] - best[0] + 1)) < _LEAST_SHARE:
        return None
    return _SPREAD * share, best


def ranked(entries: Sequence[Entry], typed: str, history: Sequence[str]) -> list[Found]:
    """Give what matches, best first; what was taken last stands before its equals, and before all if nothing
    was typed.
    """
    recent = {name: place for place, name in enumerate(history)}
    found = [item for entry in entries if (item := _found(entry, typed)) is not None]
    return sorted(found, key=lambda item: (-item.score, recent.get(item.entry.id, len(recent))))


def _found(entry: Entry, typed: str) -> Found | None:
    """Look in the text; the first letters of the command find it too, and what is not shown counts half."""
    rest = " ".join(part for part in typed.split() if not entry.word.startswith(part.casefold()))
    shown = match(typed, entry.text)
    if shown is not None:
        return Found(entry, *shown)
    more = match(rest, entry.text) if rest != " ".join(typed.split()) else None
    if more is not None:
        return Found(entry, more[0] + _SPREAD, more[1])
    hidden = match(typed, f"{entry.note} {entry.also}", spread=False)
    return None if hidden is None else Found(entry, hidden[0] / 2)


def remembered(history: Sequence[str], taken: str) -> tuple[str, ...]:
    """Give the history with an entry at its beginning."""
    return (taken, *(name for name in history if name != taken))[:MOST_REMEMBERED]
