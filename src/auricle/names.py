"""When two names are one: for files of an archive, and for teams, in every room.

How names look is judged by Unicode's table of confusable characters (UTS 39, ``confusables.txt``
beside this file), in their own case first: ``NlGHT`` with a small L looks like ``NIGHT``, and that
is ``Night`` in capitals. Names of people are not compared: two people may have one name.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from pathlib import Path

_TABLE = Path(__file__).resolve().with_name("confusables.txt")
# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt: drawn as nothing.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Drawn as a blank, and no white space by their category.
_BLANK = re.compile("[\u115f\u1160\u3164\uffa0\u2800\U00013441\U00013442\U00016fe4\U0001d159]")
_LETTER = re.compile(
    r"(?:LATIN LETTER SMALL CAPITAL|REGIONAL INDICATOR SYMBOL LETTER"
    r"|NEGATIVE (?:CIRCLED|SQUARED) LATIN CAPITAL LETTER) ([A-Z])"
)
_DASHES = dict.fromkeys(
    map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\ufe58\uff0d"), "-"
)


def fold(name: str) -> str:
    """The form in which names are compared: what the most forgetful file system keeps of one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def fold_name(name: str) -> str:
    """The form in which names of teams are compared: how they look, spaces collapsed."""
    look = _IGNORABLE.sub("", _BLANK.sub(" ", unicodedata.normalize("NFKC", name)))
    look = look.translate(_DASHES)
    for _ in range(4):  # without its case a letter may look like another again
        before, look = look, _skeleton(look).casefold()
        if look == before:
            break
    look = look.translate(_DASHES).replace("i", "l").replace("vv", "w")
    return " ".join(_IGNORABLE.sub("", look).split())


def _skeleton(text: str) -> str:
    """UTS 39's skeleton of a text, small capitals and squared letters read as letters."""
    table = _confusables()
    signs = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFD", "".join(_plain(table.get(c, c)) for c in signs))


def _plain(text: str) -> str:
    if text.isascii():
        return text
    return "".join(_letter(sign) for sign in text)


@functools.cache
def _letter(sign: str) -> str:
    if sign == "\u0138":  # what the table makes of every small capital K
        return "k"
    match = _LETTER.fullmatch(unicodedata.name(sign, ""))
    return match[1] if match else sign


@functools.cache
def _confusables() -> dict[str, str]:
    table = {}
    for line in _TABLE.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            sign, *looks = (chr(int(word, 16)) for word in line.split())
            table[sign] = "".join(looks)
    return table


def unseen(name: str) -> str:
    """The first character of a name that nobody sees; empty where each is seen."""
    for sign in name:
        if _IGNORABLE.match(sign) or _BLANK.match(sign):
            return sign
    return ""


class NameBook:
    """Names in the order in which they came, each with the one before it that it is one with.

    Two names are one if they look the same, or are the same but for case, as Greek words in
    capitals are that look like Latin ones.
    """

    def __init__(self) -> None:
        self._first: dict[str, str] = {}

    def first(self, name: str) -> str:
        """The first name that this one is one with; itself where there is none before it."""
        keys = (f"looks {fold_name(name)}", f"folds {' '.join(fold(name).split())}")
        found = next((self._first[key] for key in keys if key in self._first), name)
        for key in keys:
            self._first.setdefault(key, found)
        return found


def same_name(one: str, other: str) -> bool:
    """Whether two names of teams are one."""
    book = NameBook()
    return book.first(one) == book.first(other)
