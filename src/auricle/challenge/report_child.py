"""Reads a stranger's PDF in a process of its own; run by path, prints one JSON object.

A PDF is a program for its reader: it can loop, swell and lie. So this process limits itself before
it opens the file, and whoever started it holds a clock. Only facts leave it; `report.py` judges.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from typing import Any

MEMORY_BYTES = 2 << 30
COMPUTE_S = 40
SKELETON = "This is the skeleton of the report"
"""Stands in the report that 'auricle new' writes."""
_MAX_PAGES = 200
_MAX_OBJECTS = 100_000
_ACTIVE_KEYS = {
    "/JS": "JavaScript",
    "/JavaScript": "JavaScript",
    "/EmbeddedFiles": "embedded files",
    "/XFA": "a form with code of its own",
}
_ACTIVE_KINDS = {
    "/JavaScript": "JavaScript",
    "/Launch": "a command to launch",
    "/SubmitForm": "a form that is sent",
    "/ImportData": "data that is imported",
    "/EmbeddedFile": "an embedded file",
    "/RichMedia": "embedded media",
    "/Movie": "embedded media",
    "/Sound": "embedded media",
    "/Rendition": "embedded media",
    "/GoToR": "another file to open",
    "/GoToE": "another file to open",
}
_UNASKED = ("/OpenAction", "/AA")
"""What happens by itself; a jump to a page is all that it may be."""


def limit_self() -> None:
    """Bound memory and computing, where the system can."""
    try:
        import resource
    except ImportError:
        return
    limits = {
        resource.RLIMIT_CPU: (COMPUTE_S, COMPUTE_S + 5),  # behind locks it is theirs
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_AS: (MEMORY_BYTES, MEMORY_BYTES),
    }
    for which, pair in limits.items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, pair)


def describe(path: str) -> dict[str, Any]:
    """The facts about a PDF: pages, their sizes in points, characters of text, active content."""
    import pypdf

    reader = pypdf.PdfReader(path, strict=False)
    if reader.is_encrypted:
        return {"encrypted": True}
    facts: dict[str, Any] = {"encrypted": False, "pages": 0, "characters": 0, "sizes": []}
    facts["skeleton"] = False
    for page in reader.pages:
        facts["pages"] += 1
        if facts["pages"] > _MAX_PAGES:
            break
        unit = float(page.get("/UserUnit", 1))
        facts["sizes"].append(
            [float(page.mediabox.width) * unit, float(page.mediabox.height) * unit]
        )
        text = page.extract_text()
        facts["characters"] += sum(not c.isspace() for c in text)
        facts["skeleton"] |= SKELETON in " ".join(text.split())
    facts["active"] = sorted(_find_active(reader.trailer))
    return facts


def _find_active(trailer: Any) -> set[str]:
    from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject

    found: set[str] = set()
    seen: set[tuple[int, int]] = set()
    waiting: list[Any] = [trailer]
    count = 0
    while waiting:
        count += 1
        if count > _MAX_OBJECTS:
            return found | {"more objects than can be looked through"}
        value = waiting.pop()
        if isinstance(value, IndirectObject):
            key = (value.idnum, value.generation)
            if key in seen:
                continue
            seen.add(key)
            value = value.get_object()
        if isinstance(value, DictionaryObject):
            found |= {text for name, text in _ACTIVE_KEYS.items() if name in value}
            for name in ("/S", "/Type", "/Subtype"):
                kind = _resolved(value.get(name))
                if isinstance(kind, str) and kind in _ACTIVE_KINDS:
                    found.add(_ACTIVE_KINDS[kind])
            if any(_follows_a_link(_resolved(value.get(name))) for name in _UNASKED):
                found.add("an address that is opened unasked")
            waiting += value.values()
        elif isinstance(value, ArrayObject):
            waiting += list(value)
    return found


def _resolved(value: Any) -> Any:
    """What a reference stands for."""
    from pypdf.generic import IndirectObject

    return value.get_object() if isinstance(value, IndirectObject) else value


def _follows_a_link(action: Any) -> bool:
    """Whether an action, or one of a dictionary of actions, opens an address."""
    from pypdf.generic import DictionaryObject

    if not isinstance(action, DictionaryObject):
        return False
    actions = [action, *map(_resolved, action.values())]
    return any(
        isinstance(each, DictionaryObject) and _resolved(each.get("/S")) == "/URI"
        for each in actions
    )


def main() -> None:
    """Describe the PDF that the command line names."""
    limit_self()
    logging.disable(logging.CRITICAL)
    try:
        facts = describe(sys.argv[1])
    except RecursionError:
        facts = {"error": "its objects are nested without end"}
    except MemoryError:
        facts = {"error": f"it needs more than {MEMORY_BYTES >> 30} GiB of memory to be read"}
    except Exception as error:
        facts = {"error": f"{type(error).__name__}: {error}"[:300]}
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    main()
