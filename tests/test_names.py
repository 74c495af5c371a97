"""When two names are one: expected values worked by hand from how the characters are drawn."""

from __future__ import annotations

import unicodedata

import pytest

from auricle.names import NameBook, fold_name, same_name, unseen
from auricle.scoring.published import published_rows

ONE = [
    ("Night Owls", "NlGHT OWLS"),
    ("Morning", "Rnorning"),
    ("MORNING", "rnorning"),
    ("HAWK", "\u13bb\u13aa\u13b3\u13e6"),  # Cherokee capitals
    ("hawk", "\uab8b\uab7a\uab83\uabb6"),  # Cherokee small letters
    ("hawk", "\u029c\u1d00\u1d21\u1d0b"),  # Latin small capitals
    ("NYXTA", "\u039d\u03a5\u03a7\u03a4\u0391"),  # Greek capitals
    ("\u03bd\u03c5\u03c7\u03c4\u03b1", "\u039d\u03a5\u03a7\u03a4\u0391"),  # one Greek word
    ("Voxes", "\u03bdoxes"),  # a Greek nu looks like a v
    ("\u0421\u043e\u0432\u0430", "\u0421o\u0432a"),  # Cyrillic with Latin letters in it
    ("\u0410\u0434\u0430", "\u0410\u0414\u0410"),
    ("Owls", "Ow1s"),
    ("Owls", "0wls"),
    ("Owls-2", "Owls\u20132"),
    ("wave", "vvave"),
    ("Night Owls", "Night\ufe0f Owls"),
    ("Night Owls", "Night Owls\u034f"),
    ("Night Owls", "Night Owls\U000e0100"),
    ("Night Owls", "Night\u3164Owls"),
    ("Night Owls", "Night\u2800Owls"),
    ("fish", "\ufb01sh"),
    ("Kiwi", "\u0138iwi"),
]
TWO = [
    ("Night Owls", "Day Owls"),
    ("Nova", "Vova"),
    ("Team 1", "Team 2"),
    ("Owl", "Owls"),
    ("Zo\u00eb", "Zoe"),
    ("\u5317\u4eac\u5927\u5b66", "\u5317\u4eac\u5927\u5b78"),
    ("Hear", "Near"),
    ("Clog", "Dog"),
]


@pytest.mark.parametrize(("one", "other"), ONE)
def test_names_that_look_the_same_are_one(one: str, other: str) -> None:
    assert same_name(one, other)
    assert same_name(other, one)


@pytest.mark.parametrize(("one", "other"), TWO)
def test_names_that_look_different_are_two(one: str, other: str) -> None:
    assert not same_name(one, other)


def test_the_published_teams_are_all_different() -> None:
    for track in "ab":
        book = NameBook()
        names = [row.team for row in published_rows(track)]
        assert [book.first(name) for name in names] == names


def test_a_folded_name_is_its_own_form() -> None:
    for pair in ONE + TWO:
        for name in pair:
            assert fold_name(fold_name(name)) == fold_name(name)


def test_what_is_drawn_as_nothing_is_what_unicode_says() -> None:
    """Held against the `regex` package, which is another reading of the standard."""
    regex = pytest.importorskip("regex")
    ignorable = regex.compile(r"\p{Default_Ignorable_Code_Point}")
    blanks = set(map(ord, "\u2800\U00013441\U00013442\U00016fe4\U0001d159"))
    for code in range(0x110000):
        sign = chr(code)
        if unicodedata.category(sign) not in ("Cs", "Cn") and code not in blanks:
            assert bool(unseen(sign)) == bool(ignorable.match(sign)), hex(code)
