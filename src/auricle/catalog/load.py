"""Look-up by name: tasks, suites and recipes of the catalog, one YAML file each.

Files are read when they are asked for, and once. Any task is a suite of its own, so that one word
is enough to measure an encoder on one dataset.
"""

from __future__ import annotations

import glob
from functools import cache
from pathlib import Path
from typing import Literal

from auricle.catalog.parse import read_yaml, validate
from auricle.catalog.recipe import MINI_DECODER, Recipe, apply_settings
from auricle.catalog.spec import SHARD_SHARE, Suite, Task
from auricle.errors import CatalogError, UnknownNameError

_FOLDER = Path(__file__).parent
OFFICIAL_RECIPE = "official"
_THEIR_NAMES = {"task1": "track-a", "task2": "track-b"}
"""Suites by the names that XARES-LLM's command line has for them."""


def list_tasks() -> list[str]:
    """Names of all tasks of the catalog."""
    return _list("tasks")


def list_suites() -> list[str]:
    """Names of all suites of the catalog; each task is a suite too and is not listed here."""
    return _list("suites")


def list_recipes() -> list[str]:
    """Names of all recipes."""
    return _list("recipes")


@cache
def get_task(name: str) -> Task:
    """A task of the catalog.

    Raises:
        UnknownNameError: There is none of that name; the text offers the nearest.
    """
    if name not in list_tasks():
        raise UnknownNameError("task", name, list_tasks(), "List them: auricle tasks")
    task = validate(Task, read_yaml(_path("tasks", name)), f"tasks/{name}.yaml")
    _same_name("tasks", name, task.name)
    return task


@cache
def get_recipe(name: str) -> Recipe:
    """A recipe of the catalog.

    Raises:
        UnknownNameError: There is none of that name; the text offers the nearest.
    """
    if name not in list_recipes():
        raise UnknownNameError("recipe", name, list_recipes())
    recipe = validate(Recipe, read_yaml(_path("recipes", name)), f"recipes/{name}.yaml")
    _same_name("recipes", name, recipe.name)
    return recipe


@cache
def get_suite(name: str) -> Suite:
    """A suite of the catalog, or a task as a suite of its own; every weight is a number.

    Raises:
        UnknownNameError: There is no suite and no task of that name; the text offers the nearest.
    """
    name = _THEIR_NAMES.get(name, name)
    if name in list_suites():
        suite = validate(Suite, read_yaml(_path("suites", name)), f"suites/{name}.yaml")
        _same_name("suites", name, suite.name)
        return resolve_weights(suite, {})
    if name in list_tasks():
        return suite_of_task(get_task(name), official=get_task(name).synthetic is None)
    known = [*list_suites(), *list_tasks()]
    raise UnknownNameError("suite or task", name, known, "List them: auricle suites, auricle tasks")


def suite_of_task(task: Task, *, official: bool = False) -> Suite:
    """A task as a suite of its own, with the steps of a run on it alone."""
    return Suite(
        name=task.name,
        description=f"The task {task.name} alone",
        recipe=OFFICIAL_RECIPE if task.synthetic is None else MINI_DECODER,
        steps=task.steps,
        tasks={task.name: 1.0},
        official=official,
    )


def base_recipe(suite: Suite, name: str | None = None) -> Recipe:
    """The recipe that a suite names, or another one in its place, with the suite's own steps."""
    recipe = get_recipe(suite.recipe if name is None else name)
    return recipe if suite.steps is None else apply_settings(recipe, [f"train.steps={suite.steps}"])


def resolve_weights(suite: Suite, own: dict[str, Task]) -> Suite:
    """A suite whose included suites are merged in and whose weights are all numbers.

    Args:
        suite: As it is written.
        own: Tasks that the suite's file defines itself; they hide the catalog's.

    Raises:
        CatalogError: The suite has no task, or includes itself.
        UnknownNameError: It names a task or suite that does not exist.
    """
    weights: dict[str, float | Literal["shards"]] = {}
    for included in suite.include:
        if included == suite.name:
            raise CatalogError(f"Suite {suite.name} includes itself. Name another suite.")
        weights.update(get_suite(included).tasks)
    weights.update(suite.tasks)
    if not weights:
        raise CatalogError(
            f"Suite {suite.name} has no tasks. List them under 'tasks: name: weight'."
        )
    shards = {name: _count_train_shards(own.get(name) or get_task(name)) for name in weights}
    total = sum(shards.values())
    resolved: dict[str, float | Literal["shards"]] = {}
    for name, weight in weights.items():
        if weight == SHARD_SHARE and not shards[name]:
            raise CatalogError(
                f"Suite {suite.name} weighs {name} by its train shards, but it has none. "
                "Give a number."
            )
        resolved[name] = shards[name] / total if weight == SHARD_SHARE else weight
    return suite.model_copy(update={"tasks": resolved, "include": []})


def _count_train_shards(task: Task) -> int:
    names = task.expanded_train_shards
    if task.repository is not None or not any(glob.has_magic(name) for name in names):
        return len(names)
    folder = Path(task.folder)
    return sum(len([*folder.glob(n)]) if glob.has_magic(n) else 1 for n in names)


def _list(kind: str) -> list[str]:
    return sorted(path.stem for path in (_FOLDER / kind).glob("*.yaml"))


def _path(kind: str, name: str) -> Path:
    return _FOLDER / kind / f"{name}.yaml"


def _same_name(kind: str, file_name: str, name: str) -> None:
    if file_name != name:
        raise CatalogError(f"{kind}/{file_name}.yaml calls itself '{name}'. Use one name.")
