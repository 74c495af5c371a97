"""Suites from a user's file: own tasks beside the catalog's, hidden suites, XARES-LLM's YAML.

Forms that are told apart by their keys:

    tasks: / include:        a suite; a task is a weight, or a definition of its own with ``weight``
    prompt: and shards       one task, which is a suite of its own
    train_data:              a train file of XARES-LLM
    name: {data:, metric:}   an evaluation file of XARES-LLM

Relative paths start at the file's folder, those of XARES-LLM's files at the working folder, as
they do there. A file cannot call itself official and cannot redefine a name of the catalog.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auricle.catalog.load import (
    base_recipe,
    get_suite,
    get_task,
    list_suites,
    list_tasks,
    resolve_weights,
    suite_of_task,
)
from auricle.catalog.parse import read_yaml, validate
from auricle.catalog.recipe import Recipe, apply_settings
from auricle.catalog.spec import Suite, Task
from auricle.catalog.xares import XaresFile, read_eval_file, read_train_file
from auricle.errors import CatalogError


@dataclass(frozen=True, slots=True)
class LoadedSuite:
    """Everything that a suite's name or file stands for."""

    suite: Suite
    """With every weight a number."""
    tasks: tuple[Task, ...]
    """In the suite's order."""
    base: Recipe
    """What `mode_of` compares with: the named recipe with the suite's steps."""
    recipe: Recipe
    """``base`` with what the file changes; overrides of a run start from here."""
    seed: int | None = None
    """What the file asks for."""
    workers: int | None = None
    ignored: tuple[str, ...] = ()
    """Fields of the file that have no effect here, each with its reason."""


def open_suite(name_or_path: str) -> LoadedSuite:
    """A suite or task of the catalog, or a YAML file.

    Raises:
        UnknownNameError: There is nothing of that name.
        CatalogError: The file is not valid.
        UserError: The file changes the recipe to something impossible.
    """
    looks_like_file = name_or_path.endswith((".yaml", ".yml")) or os.sep in name_or_path
    known = name_or_path in list_suites() or name_or_path in list_tasks()
    if looks_like_file or (not known and Path(name_or_path).is_file()):
        return load_suite_file(Path(name_or_path))
    suite = get_suite(name_or_path)
    return _loaded(suite, {})


def load_suite_file(path: Path) -> LoadedSuite:
    """A suite from a file in any of the forms above.

    Raises:
        CatalogError: The file cannot be read, has none of the forms, or is not valid.
        UnknownNameError: It names a task, suite or recipe that does not exist.
        UserError: It changes the recipe to something impossible.
    """
    return suite_of_data(read_yaml(path), path)


def suite_of_data(data: dict[str, Any], path: Path) -> LoadedSuite:
    """As `load_suite_file`, of what the file says or will say."""
    if "train_data" in data:
        return _from_xares(read_train_file(data, str(path)), path)
    if "tasks" in data or "include" in data:
        return _own_suite(data, path)
    if "prompt" in data:
        task = _own_task(str(data.get("name", _file_name(path))), data, path, str(path))
        return _loaded(suite_of_task(task), {task.name: task})
    if data and all(isinstance(v, dict) and "data" in v for v in data.values()):
        return _from_xares(read_eval_file(data, str(path)), path)
    raise CatalogError(
        f"{path} is no suite: it has {', '.join(sorted(data)) or 'nothing'}. Expected 'tasks:' or "
        "'include:', a task with 'prompt:', or a train or evaluation file of XARES-LLM."
    )


def _own_suite(data: dict[str, Any], path: Path) -> LoadedSuite:
    if "official" in data:
        raise CatalogError(f"{path} says 'official', which only the catalog can. Remove the line.")
    entries = data.get("tasks") or {}
    if not isinstance(entries, dict):
        raise CatalogError(
            f"{path}: 'tasks' is a {type(entries).__name__}; expected 'name: weight'."
        )
    own: dict[str, Task] = {}
    weights: dict[str, Any] = {}
    for name, entry in entries.items():
        if isinstance(entry, dict):
            own[name] = _own_task(name, entry, path, f"{path}: task {name}")
            weights[name] = entry.get("weight", 1)
        else:
            weights[name] = entry
    facts = {"name": _file_name(path), **data, "tasks": weights}
    suite = validate(Suite, facts, str(path))
    if suite.name in list_suites() or suite.name in list_tasks():
        raise CatalogError(
            f"{path}: the name '{suite.name}' belongs to the catalog. Give the suite another name."
        )
    return _loaded(resolve_weights(suite, own), own)


def _own_task(name: str, entry: dict[str, Any], path: Path, source: str) -> Task:
    if name in list_tasks() or name in list_suites():
        raise CatalogError(
            f"{source}: the name '{name}' belongs to the catalog. Give the task another name, or "
            "write a weight alone to use the catalog's."
        )
    for field in ("folder", "synthetic"):
        if field in entry:
            raise CatalogError(f"{source}: '{field}' cannot be set in a file. Remove the line.")
    facts = {key: value for key, value in entry.items() if key != "weight"}
    return validate(
        Task, {**task_defaults(facts), **facts, "name": name} | _folder(facts, path), source
    )


def _folder(facts: dict[str, Any], path: Path) -> dict[str, str]:
    return {} if facts.get("repository") else {"folder": str(path.parent.absolute())}


def task_defaults(facts: dict[str, Any]) -> dict[str, str]:
    """What a user's task need not say: its track follows from its metric."""
    metric = str(facts.get("metric", "accuracy")).lower()
    return {"track": "a" if metric in ("accuracy", "map") else "b", "domain": "general"}


def _from_xares(file: XaresFile, path: Path) -> LoadedSuite:
    taken = {*list_tasks(), *list_suites()}
    own: dict[str, Task] = {}
    weights: dict[str, Any] = {}
    for key, fields in file.tasks.items():
        name = _slug(key)
        name = f"{name}-custom" if name in taken else name
        if name in own:
            raise CatalogError(f"{path}: several entries amount to the name '{name}'. Rename one.")
        facts = {**task_defaults(fields), **fields, "name": name}
        if facts.get("repository") is None:
            facts["folder"] = str(Path.cwd())
        own[name] = validate(Task, facts, f"{path}: {key}")
        weights[name] = file.weights[key]
    about = {"name": _file_name(path), "steps": file.steps, "training": file.training}
    suite = validate(Suite, {**about, "tasks": weights}, str(path))
    loaded = _loaded(resolve_weights(suite, own), own)
    return LoadedSuite(
        suite=loaded.suite,
        tasks=loaded.tasks,
        base=loaded.base,
        recipe=apply_settings(loaded.base, file.settings, source=str(path)),
        seed=file.seed,
        workers=file.workers,
        ignored=file.ignored,
    )


def _loaded(suite: Suite, own: dict[str, Task]) -> LoadedSuite:
    base = base_recipe(suite)
    tasks = tuple(own.get(name) or get_task(name) for name in suite.tasks)
    if suite.held_out is not None:
        for task in tasks:
            if not task.train_shards or task.metric is None:
                lacking = "no train_shards" if not task.train_shards else "no metric"
                raise CatalogError(
                    f"Suite {suite.name} holds training clips out, but its task {task.name} has "
                    f"{lacking}. Give it both, or leave it out."
                )
        tasks = tuple(task.only("train") for task in tasks)
    return LoadedSuite(suite=suite, tasks=tasks, base=base, recipe=base)


def _file_name(path: Path) -> str:
    """A suite's name from its file's; never one of the catalog's."""
    name = _slug(path.stem)
    return f"{name}-custom" if name in list_suites() or name in list_tasks() else name


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:100] or "custom"
