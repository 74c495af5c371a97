"""Strangers' names made safe to show, and turned into addresses that never move.

An address depends on the name alone (and on the run's hash), never on who else is on the board, so
that links stay good when others join. HTML escaping is the templates' work, not done here.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

MAX_NAME = 100
MAX_SLUG = 40
MAX_MARKS = 4
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Joiners belong to emoji and to several scripts; every other invisible character can disguise text.
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0\u2800\u034f"


def clean_text(text: str, *, limit: int = MAX_NAME) -> str:
    """A stranger's text, fit to be shown on one line.

    Control, direction and invisible characters become U+FFFD, white space collapses, towers of
    combining marks are cut, and what is longer than the limit ends in an ellipsis.

    Args:
        text: Anything.
        limit: Longest result in characters.
    """
    shown: list[str] = []
    marks = 0
    for sign in text[: limit * 8]:
        kind = unicodedata.category(sign)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if marks > MAX_MARKS:
            continue
        if sign.isspace():
            shown.append(" ")
        elif (kind in _INVISIBLE and sign not in _JOINERS) or sign in _BLANK_LETTERS:
            shown.append(_REPLACEMENT)
        else:
            shown.append(sign)
    line = " ".join("".join(shown).split()).strip(_JOINERS + " ")
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def clean_name(name: str) -> str:
    """A team's name, fit to be shown; never empty."""
    return clean_text(name) or "(no name)"


def base_slug(name: str) -> str:
    """A name as lower-case ASCII letters, digits and single dashes; may be empty."""
    plain = unicodedata.normalize("NFKD", name[: 8 * MAX_NAME]).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower())[:MAX_SLUG].strip("-")


def hashed_slug(name: str) -> str:
    """The address of a team: readable, and different for different names that read alike."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{base_slug(name) or 'team'}-{digest}"
