"""Pages that need nothing beside themselves: templates, escaping and the content policy.

Texts of answers, references, encoders and clips are a stranger's. Every value is escaped by the
template engine, control characters are made visible, and the page's own policy allows no request
and no style or script but the two whose hashes it names, so that markup which slipped through
could still do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from auricle.progress import duration_text

_UNFIT = re.compile("[\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Lone surrogates, and marks of direction."""
_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"} | {
    0x7F: 0x2421,
    **{code: 0xFFFD for code in range(0x80, 0xA0)},
}


def render(template: str, **values: Any) -> str:
    """Fill a template of ``runs/templates`` in.

    Args:
        template: Its file name.
        values: What it names; a name that is missing is an error.
    """
    environment = _environment()
    style = _source("page.css")
    script = _source("page.js")
    return environment.get_template(template).render(
        style=Markup(style),  # noqa: S704  our own file
        script=Markup(script),  # noqa: S704  our own file
        policy=_policy(style, script),
        **values,
    )


def _policy(style: str, script: str) -> str:
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",
            "media-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def visible(value: Any) -> Any:
    """A template's value as it may stand in a page.

    It has no lone surrogates, no control characters, and nothing that turns the direction of what
    stands behind it: not every place of a page can isolate its text.
    """
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", value).translate(_CONTROLS)
    return "" if value is None else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("auricle.runs", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        score=score_text,
        percent=lambda share: f"{100 * share:.0f} %",
        place=lambda share: f"{100 * min(1.0, max(0.0, share)):.2f}%",
        extent=lambda share: f"{100 * max(0.0, share):.2f}%",
        count=lambda value: f"{value:,}",
        duration=duration_text,
        breakable=breakable,
    )
    return environment


def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def score_text(value: float | None) -> str:
    """A score with three decimals; missing is a word, never a zero."""
    return "missing" if value is None else f"{value:.3f}".replace("-", "−")


def breakable(text: str) -> Markup:
    """A name or path that may break after its separators."""
    pieces = re.split(r"(?<=[/_.-])", str(visible(text)))
    return Markup("<wbr>").join(pieces)
