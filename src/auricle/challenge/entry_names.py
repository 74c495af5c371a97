"""Which names of files a submission may hold: those that mean one file on every system.

A name is judged before anything is written, by itself and against all others: two names that some
file system takes for one (upper case, composed letters, compatibility forms) collide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from auricle.challenge.verdicts import Problem, Verdict, shown
from auricle.names import fold, unseen

MAX_NAME_BYTES = 400
MAX_PART_BYTES = 200
MAX_DEPTH = 24
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9]|lpt[0-9])\s*(\.|\Z)")
"""With any suffix; a superscript digit is folded to the plain one."""


def check_name(name: str) -> Problem | None:
    """Judge one entry's name, as it stands in the archive; folders end in ``/``.

    Returns:
        None for a plain relative name, else what is wrong with it.
    """
    said = f"The entry '{shown(name)}'"
    if not name or name == "/":
        return Problem(Verdict.BAD_NAME, "An entry has no name; pack the folder again.")
    if any(not character.isprintable() for character in name) or unseen(name):
        return Problem(
            Verdict.BAD_NAME,
            f"{said} has control or invisible characters in its name; rename it with plain ones.",
        )
    if "\\" in name:
        return Problem(
            Verdict.BAD_NAME,
            f"{said} has a backslash in its name; '/' separates folders in a ZIP. Pack it again "
            "with 'auricle pack'.",
        )
    if name.startswith("/") or name[1:2] == ":":
        return Problem(
            Verdict.ABSOLUTE_NAME,
            f"{said} has an absolute name; names relative to the submission's folder are expected.",
        )
    parts = name.removesuffix("/").split("/")
    if ".." in parts:
        return Problem(
            Verdict.PATH_TRAVERSAL,
            f"{said} points out of the archive with '..'; every entry must stay inside.",
        )
    if any(part in ("", ".") or part != part.strip() or part.endswith(".") for part in parts):
        return Problem(
            Verdict.BAD_NAME,
            f"{said} has a part that is empty, '.', or begins or ends with a space or dot; "
            "file systems disagree about those. Rename it.",
        )
    if ":" in name:
        return Problem(
            Verdict.BAD_NAME, f"{said} has a colon in its name, a stream on Windows. Rename it."
        )
    if any(sign in name for sign in '<>"|?*'):
        return Problem(
            Verdict.BAD_NAME, f'{said} has one of < > " | ? * in its name, which Windows refuses.'
        )
    for part in parts:
        if _DEVICE.match(fold(part)):
            return Problem(
                Verdict.BAD_NAME,
                f"{said} has the name of a device on Windows ({shown(part, 40)}). Rename it.",
            )
    encoded = [len(part.encode("utf-8", "surrogatepass")) for part in parts]
    if max(encoded) > MAX_PART_BYTES or sum(encoded) + len(parts) > MAX_NAME_BYTES:
        return Problem(
            Verdict.NAME_TOO_LONG,
            f"{said} has a name of {sum(encoded)} bytes; at most {MAX_PART_BYTES} per part and "
            f"{MAX_NAME_BYTES} in all are expected. Shorten it.",
        )
    if len(parts) > MAX_DEPTH:
        return Problem(
            Verdict.TOO_DEEP,
            f"{said} lies {len(parts)} folders deep; at most {MAX_DEPTH} are expected.",
        )
    return None


def find_collisions(names: Iterable[str]) -> list[Problem]:
    """Find names that mean the same file, and files that are also folders.

    Args:
        names: All entries' names; folders end in ``/`` and may repeat what files imply.
    """
    problems: list[Problem] = []
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        folded = fold(name.removesuffix("/"))
        if not name.endswith("/"):
            if folded in files:
                problems.append(_collision(name, files[folded]))
            files.setdefault(folded, name)
        elif folders.get(folded, name) != name:
            problems.append(_collision(name, folders[folded]))
        parents = name.removesuffix("/").split("/")
        stop = len(parents) + 1 if name.endswith("/") else len(parents)
        for depth in range(1, stop):
            folder = "/".join(parents[:depth]) + "/"
            known = folders.setdefault(fold(folder.removesuffix("/")), folder)
            if known != folder:
                problems.append(_collision(folder, known))
    problems += [
        Problem(
            Verdict.NAME_COLLISION,
            f"'{shown(files[name])}' is a file and also a folder of other entries; it can be "
            "only one of them.",
        )
        for name in files.keys() & folders.keys()
    ]
    return list(dict.fromkeys(problems))


def _collision(name: str, other: str) -> Problem:
    if name == other:
        return Problem(
            Verdict.NAME_COLLISION,
            f"'{shown(name)}' is in the archive twice; one reader would take the first and "
            "another the second. Pack it again.",
        )
    return Problem(
        Verdict.NAME_COLLISION,
        f"'{shown(name)}' and '{shown(other)}' are one name on some file systems. Rename one.",
    )
