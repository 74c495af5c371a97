"""Suites from a user's file: own tasks beside the catalog's, hidden suites, XARES-LLM's YAML.

Forms that are told apart by their keys:

    tasks: / include:        a suite; a task is a weight, or a definition of its own with ``weight``
    prompt: and shards       one task, which is a suite of its own
    train_data:              a train file of XARES-LLM
    name: {data:, metric:}   an evaluation file of XARES-LLM

Each may say ``recipe: mini``, and any of them can be included in a suite by its path. Relative
paths start at the file's folder, those of XARES-LLM's files at the working folder, as they do
there. A file cannot call itself official and cannot redefine a name of the catalog.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auricle.catalog.load import (
    OFFICIAL_RECIPE,
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
from auricle.catalog.spec import Suite, Task, encoded_s
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

    @property
    def audio_h(self) -> float:
        """Hours of audio that a run encodes, as far as the catalog knows its tasks' sizes."""
        train, shares = self.recipe.train, self.suite.shares
        total = 0.0
        for task in self.tasks:
            for side, size in task.size.items():
                drawn = train.steps * train.batch_size * shares[task.name]
                total += encoded_s(
                    size.clips,
                    size.hours,
                    draws=drawn if side == "train" else None,
                    crop_s=self.recipe.crop.length_s,
                )
        return total / 3600


@dataclass(frozen=True, slots=True)
class _Read:
    """What a name or file says, before its recipe is looked up."""

    suite: Suite
    own: dict[str, Task]
    """Tasks that the catalog does not have."""
    asks: XaresFile | None = None
    """Of a file of XARES-LLM: what it says beside its tasks."""
    ignored: tuple[str, ...] = ()


def open_suite(name_or_path: str, *, recipe: str | None = None) -> LoadedSuite:
    """A suite or task of the catalog, or a YAML file.

    Args:
        name_or_path: Its name or path.
        recipe: Name of the recipe that replaces the suite's own; its steps stay the suite's.

    Raises:
        UnknownNameError: There is nothing of that name.
        CatalogError: The file is not valid.
        UserError: The file changes the recipe to something impossible.
    """
    looks_like_file = name_or_path.endswith((".yaml", ".yml")) or os.sep in name_or_path
    known = name_or_path in list_suites() or name_or_path in list_tasks()
    if looks_like_file or (not known and Path(name_or_path).is_file()):
        return load_suite_file(Path(name_or_path), recipe=recipe)
    return _loaded(_Read(get_suite(name_or_path), {}), name_or_path, recipe)


def load_suite_file(path: Path, *, recipe: str | None = None) -> LoadedSuite:
    """A suite from a file in any of the forms above.

    Args:
        path: The file.
        recipe: As of `open_suite`.

    Raises:
        CatalogError: The file cannot be read, has none of the forms, or is not valid.
        UnknownNameError: It names a task, suite or recipe that does not exist.
        UserError: It changes the recipe to something impossible.
    """
    return _loaded(_read(read_yaml(path), path), str(path), recipe)


def suite_of_data(data: dict[str, Any], path: Path) -> LoadedSuite:
    """As `load_suite_file`, of what the file says or will say."""
    return _loaded(_read(data, path), str(path), None)


def _read(data: dict[str, Any], path: Path, above: tuple[Path, ...] = ()) -> _Read:
    """Understand a file; ``above`` are those that include it."""
    if "tasks" in data or "include" in data:
        return _own_suite(data, path, (*above, path.resolve()))
    named = data.get("recipe", OFFICIAL_RECIPE)
    if not isinstance(named, str):
        raise CatalogError(f"{path}: recipe is {named!r}; expected a name, e.g. mini.")
    facts = {name: value for name, value in data.items() if name != "recipe"}
    chosen = {"recipe": named} if "recipe" in data else {}
    if "train_data" in data:
        return _from_xares(read_train_file(facts, str(path)), path, chosen)
    if "prompt" in data:
        task = _own_task(str(data.get("name", _file_name(path))), facts, path, str(path))
        return _Read(suite_of_task(task).model_copy(update=chosen), {task.name: task})
    if facts and all(isinstance(v, dict) and "data" in v for v in facts.values()):
        return _from_xares(read_eval_file(facts, str(path)), path, chosen)
    raise CatalogError(
        f"{path} is no suite: it has {', '.join(sorted(data)) or 'nothing'}. Expected 'tasks:' or "
        "'include:', a task with 'prompt:', or a train or evaluation file of XARES-LLM."
    )


def _own_suite(data: dict[str, Any], path: Path, above: tuple[Path, ...]) -> _Read:
    if "official" in data:
        raise CatalogError(f"{path} says 'official', which only the catalog can. Remove the line.")
    entries = data.get("tasks") or {}
    if not isinstance(entries, dict):
        raise CatalogError(
            f"{path}: 'tasks' is a {type(entries).__name__}; expected 'name: weight'."
        )
    mine: dict[str, Task] = {}
    weights: dict[str, Any] = {}
    for name, entry in entries.items():
        if isinstance(entry, dict):
            mine[name] = _own_task(name, entry, path, f"{path}: task {name}")
            weights[name] = entry.get("weight", 1)
        else:
            weights[name] = entry
    facts = {"name": _file_name(path), **data, "tasks": weights}
    suite = validate(Suite, facts, str(path))
    if suite.name in list_suites() or suite.name in list_tasks():
        raise CatalogError(
            f"{path}: the name '{suite.name}' belongs to the catalog. Give the suite another name."
        )
    own: dict[str, Task] = {}
    included: dict[str, Any] = {}
    ignored: list[str] = []
    for name in suite.include:
        read = _included(name, path, above)
        for task in read.own.values():
            if own.setdefault(task.name, task) != task or task.name in mine:
                raise CatalogError(
                    f"{path}: the task '{task.name}' is defined twice, the second time by "
                    f"{path if task.name in mine else name}. Rename one, or include one file."
                )
        included |= read.suite.tasks
        if stated := _without_effect(read):
            ignored.append(f"include {name}: its {', '.join(stated)}; this file's own count")
    merged = suite.model_copy(update={"tasks": {**included, **suite.tasks}, "include": []})
    own |= mine
    return _Read(resolve_weights(merged, own), own, ignored=tuple(ignored))


def _included(name: str, path: Path, above: tuple[Path, ...]) -> _Read:
    """A suite, a task, or a file by its path from the folder of the file that includes it."""
    if not name.endswith((".yaml", ".yml")) and os.sep not in name:
        return _Read(get_suite(name), {})
    file = path.parent / name
    if file.resolve() in above:
        raise CatalogError(f"{path} includes {name}, which includes it in turn. Leave one out.")
    return _read(read_yaml(file), file, above)


def _without_effect(read: _Read) -> list[str]:
    """What an included file says of a run of its own."""
    suite = read.suite
    if not read.own:
        return []  # of the catalog, whose tasks alone are meant
    said = {
        "recipe": suite.recipe != OFFICIAL_RECIPE,
        "steps": suite.steps is not None and suite.name not in read.own,
        "held_out": suite.held_out is not None,
        "training": suite.training is not None and read.asks is None,
        "seed": read.asks is not None and read.asks.seed is not None,
        "workers": read.asks is not None and read.asks.workers is not None,
        "settings of the recipe": read.asks is not None and bool(read.asks.settings),
    }
    return [name for name, stated in said.items() if stated]


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


def _from_xares(file: XaresFile, path: Path, chosen: dict[str, str]) -> _Read:
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
    about = {"name": _file_name(path), "steps": file.steps, "training": file.training, **chosen}
    suite = validate(Suite, {**about, "tasks": weights}, str(path))
    return _Read(resolve_weights(suite, own), own, asks=file, ignored=file.ignored)


def _loaded(read: _Read, source: str, recipe: str | None) -> LoadedSuite:
    suite, asks = read.suite, read.asks
    tasks = tuple(read.own.get(name) or get_task(name) for name in suite.tasks)
    if suite.held_out is not None:
        for task in tasks:
            if not task.train_shards or task.metric is None:
                lacking = "no train_shards" if not task.train_shards else "no metric"
                raise CatalogError(
                    f"Suite {suite.name} holds training clips out, but its task {task.name} has "
                    f"{lacking}. Give it both, or leave it out."
                )
        tasks = tuple(task.only("train") for task in tasks)
    settings, ignored = asks.settings if asks else (), read.ignored
    if recipe is not None and any(_is_decoder(setting) for setting in settings):
        settings = tuple(setting for setting in settings if not _is_decoder(setting))
        ignored = (*ignored, "decoder_model_name: --recipe chooses the decoder")
    return LoadedSuite(
        suite=suite,
        tasks=tasks,
        base=base_recipe(suite),
        recipe=apply_settings(base_recipe(suite, recipe), settings, source=source),
        seed=asks.seed if asks else None,
        workers=asks.workers if asks else None,
        ignored=ignored,
    )


def _is_decoder(setting: str) -> bool:
    return setting.partition("=")[0] == "decoder"


def _file_name(path: Path) -> str:
    """A suite's name from its file's; never one of the catalog's."""
    name = _slug(path.stem)
    return f"{name}-custom" if name in list_suites() or name in list_tasks() else name


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:100] or "custom"
