"""Strangers' names: safe to show, and addresses that never move."""

from __future__ import annotations

import re
import unicodedata

import pytest
from board_material import HOSTILE_NAMES
from hypothesis import given
from hypothesis import strategies as st

from auricle.board.names import MAX_NAME, base_slug, clean_name, clean_text, hashed_slug


def test_an_ordinary_name_stays_as_it_is() -> None:
    for name in ("THUVoice", "MIT SLS", "北京大学", "فريق السمع", "Xi’an Jiaotong"):
        assert clean_name(name) == name


def test_direction_and_control_characters_become_visible() -> None:
    assert clean_name("exe.\u202egnp") == "exe.\ufffdgnp"
    assert clean_name("null\u0000byte\u001b[31m") == "null\ufffdbyte\ufffd[31m"


def test_a_joined_emoji_stays_joined() -> None:
    family = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
    assert clean_name(family) == family


def test_a_lone_surrogate_can_be_written_as_utf8() -> None:
    assert clean_name("a\ud800b").encode() == "a\ufffdb".encode()


def test_a_name_of_nothing_gets_words() -> None:
    assert clean_name("  \t ") == "(no name)"
    assert clean_name("") == "(no name)"


def test_a_tower_of_marks_is_cut() -> None:
    assert clean_name("Z" + "\u0301" * 80) == "Z" + "\u0301" * 4


def test_a_long_name_ends_in_an_ellipsis() -> None:
    assert clean_text("abcdef", limit=4) == "abc…"


def test_names_that_read_alike_have_addresses_of_their_own() -> None:
    names = ["Team One", "team one", "team-one", "TEAM  ONE!"]
    slugs = {hashed_slug(name) for name in names}
    assert {base_slug(name) for name in names} == {"team-one"}
    assert len(slugs) == 4


def test_an_address_depends_on_the_name_alone() -> None:
    # SHA-256 of the UTF-8 bytes, computed with sha256sum.
    assert hashed_slug("../../etc/passwd") == "etc-passwd-3754d6cb"


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_an_address_is_one_plain_file_name(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{8}", hashed_slug(name))


@given(st.text(max_size=400) | st.text(alphabet=st.characters(categories=["Cs", "Cf", "Mn", "L"])))
def test_any_text_can_be_shown_on_one_line(text: str) -> None:
    shown = clean_name(text)
    assert 0 < len(shown) <= MAX_NAME
    shown.encode()
    assert not any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in shown)
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]", shown)
    assert len(hashed_slug(text)) <= 50
