"""Several suites, tasks and files as one suite: `auricle data join`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from auricle.catalog.files import open_suite, suite_of_data
from auricle.errors import CatalogError, OutputError
from auricle.files import write_text


def join_suites(files: Sequence[str], *, out: Path, recipe: str | None = None) -> dict[str, Any]:
    """Write a suite that includes others; each task keeps the weight that it has there.

    Args:
        files: Names of the catalog, or YAML files in any form that `open_suite` takes.
        out: The new file; paths in it start at its folder.
        recipe: Its recipe; None = that of the files, which must have one.

    Returns:
        ``file`` and its ``tasks``.

    Raises:
        CatalogError: Files cannot be read or do not fit together.
        OutputError: The file is there already or cannot be written.
    """
    if out.suffix not in (".yaml", ".yml"):
        raise CatalogError(f"--out is '{out}'; expected the name of a YAML file, e.g. mine.yaml.")
    if out.exists():
        raise OutputError(f"{out} is there already. Name another file with --out, or remove it.")
    recipes = {name: open_suite(name).suite.recipe for name in files}
    if recipe is None and len(set(recipes.values())) > 1:
        said = ", ".join(f"{name} {own}" for name, own in recipes.items())
        raise CatalogError(f"The files name different recipes ({said}). Choose one with --recipe.")
    facts = {
        "recipe": recipe or next(iter(recipes.values())),
        "include": [_from_folder(name, out.parent) for name in files],
    }
    joined = suite_of_data(facts, out)
    text = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)
    write_text(out, f"# Run it: auricle run ENCODER --suite {out.name}\n{text}")
    return {"file": str(out), "tasks": [task.name for task in joined.tasks]}


def _from_folder(name: str, folder: Path) -> str:
    """A file's path as an include names it; a name of the catalog stays as it is."""
    path = Path(name)
    if not path.is_file():
        return name
    short = os.path.relpath(path.absolute(), folder.absolute())
    return short if short.endswith((".yaml", ".yml")) or os.sep in short else f".{os.sep}{short}"
