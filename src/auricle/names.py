"""When two names are one: for files of an archive, and for teams and people, in every room."""

from __future__ import annotations

import unicodedata


def fold(name: str) -> str:
    """The form in which names are compared: what the most forgetful file system keeps of one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


# Cyrillic and Greek letters, and two digits, that look like a Latin letter in lower or upper case.
_LOOKS = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0455\u0456\u0458\u0501\u04bb\u051b\u051d\u04cf"
    "\u03b1\u03b2\u03b5\u03b6\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u0131\u0251"
    "01"
    # hyphens, dashes and the minus sign
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\uff0d",
    "abekmhopctyxsijdhqwlabezhikmnoptyxiaol---------",
)


def fold_name(name: str) -> str:
    """The form in which names of people and teams are compared: how they look, spaces collapsed."""
    return " ".join(fold(fold(name).translate(_LOOKS)).split())
