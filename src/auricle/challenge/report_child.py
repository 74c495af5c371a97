"""Reads a stranger's PDF in a process of its own; run by path, prints one JSON object.

A PDF is a program for its reader: it can loop, swell and lie. So this process limits itself before
it opens the file, and whoever started it holds a clock. Only facts leave it; `report.py` judges.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
from typing import Any

MEMORY_BYTES = 2 << 30
COMPUTE_S = 40
SKELETON = "This is the skeleton of the report"
"""Stands in the report that 'auricle new' writes."""
_MAX_PAGES = 200
_MAX_OBJECTS = 100_000
_FILE, _MEDIA, _OTHER = "an embedded file", "embedded media", "another file to open"
_ACTIVE_KEYS = {
    "/JS": "JavaScript",
    "/JavaScript": "JavaScript",
    "/OnInstantiate": "JavaScript",
    "/XFA": "a form with code of its own",
    **dict.fromkeys(("/EmbeddedFiles", "/EF", "/RF", "/AF", "/Collection"), _FILE),
    **dict.fromkeys(("/3DD", "/3DV", "/RichMediaContent", "/Renditions"), _MEDIA),
    "/AlternatePresentations": _MEDIA,
}
_ACTIVE_KINDS = {
    "/JavaScript": "JavaScript",
    "/Launch": "a command to launch",
    "/SubmitForm": "a form that is sent",
    "/ImportData": "data that is imported",
    **dict.fromkeys(("/EmbeddedFile", "/FileAttachment"), _FILE),
    **dict.fromkeys(("/3D", "/RichMedia", "/Movie", "/Sound", "/Rendition", "/Screen"), _MEDIA),
    **dict.fromkeys(("/GoTo3DView", "/RichMediaExecute"), _MEDIA),
    **dict.fromkeys(("/GoToR", "/GoToE", "/GoToDp", "/Thread", "/Filespec"), _OTHER),
}
_ACTIONS = ("/A", "/PA", "/OpenAction")
"""Keys with an action behind them; an outline's or a link's it is asked for by a click."""
_UNASKED = ("/OpenAction", "/AA")
"""What happens by itself; a jump to a page is all that it may be."""
_PAGES_TURNED = ("/NextPage", "/PrevPage", "/FirstPage", "/LastPage", "/GoBack", "/GoForward")
_SCHEMES = ("http", "https", "mailto", "ftp", "doi", "tel")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_LONGEST_CHAIN = 100


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
            found |= _active_in(value)
            waiting += value.values()
        elif isinstance(value, ArrayObject):
            waiting += list(value)
    return found


def _active_in(value: Any) -> set[str]:
    """What is active in one dictionary, without those inside it but for its actions."""
    from pypdf.generic import DictionaryObject, StreamObject

    found = {text for name, text in _ACTIVE_KEYS.items() if name in value}
    for name in ("/S", "/Type", "/Subtype", "/FT"):
        kind = _resolved(value.get(name))
        if isinstance(kind, str) and kind in _ACTIVE_KINDS:
            found.add(_ACTIVE_KINDS[kind])
    if isinstance(value, StreamObject) and "/F" in value:
        found.add(_OTHER)  # a stream whose bytes lie elsewhere
    for name in ("/URI", "/Base"):
        address = _resolved(value.get(name))
        if isinstance(address, str | bytes) and not _is_harmless(address):
            found.add("an address that is none of the web")
    for name in _ACTIONS:
        found |= _judge_actions(value.get(name), unasked=name in _UNASKED)
    by_event = _resolved(value.get("/AA"))
    if isinstance(by_event, DictionaryObject):
        for action in by_event.values():
            found |= _judge_actions(action, unasked=True)
    return found


def _judge_actions(first: Any, *, unasked: bool) -> set[str]:
    """What is wrong with an action and all that follow it."""
    from pypdf.generic import ArrayObject, DictionaryObject

    found: set[str] = set()
    waiting = [first]
    for _ in range(_LONGEST_CHAIN):
        if not waiting:
            return found
        action = _resolved(waiting.pop())
        if isinstance(action, ArrayObject) and action is not _resolved(first):
            waiting += list(action)  # several actions that follow; a first array is a place
        if not isinstance(action, DictionaryObject) or "/S" not in action:
            continue
        kind = _resolved(action["/S"])
        turns = kind == "/Named" and _resolved(action.get("/N")) in _PAGES_TURNED
        if kind == "/URI" and unasked:
            found.add("an address that is opened unasked")
        elif kind not in ("/GoTo", "/URI") and (unasked or not turns):
            found.add(_ACTIVE_KINDS.get(kind, "an action that is no jump and no address"))
        waiting.append(action.get("/Next"))
    return found | {"more actions in a row than can be looked through"}


def _is_harmless(address: str | bytes) -> bool:
    """Whether an address opens a page or a mail; readers bear blanks and line ends in it."""
    text = address.decode("latin-1") if isinstance(address, bytes) else address
    text = "".join(sign for sign in text if sign.isprintable() and not sign.isspace())
    scheme = _SCHEME.match(text)
    if scheme is not None:
        return scheme[1].lower() in _SCHEMES
    return not text.startswith(("\\", "/", "~")) and "\\" not in text and not text.startswith("..")


def _resolved(value: Any) -> Any:
    """What a reference stands for."""
    from pypdf.generic import IndirectObject

    for _ in range(10):
        if not isinstance(value, IndirectObject):
            break
        value = value.get_object()
    return value


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
