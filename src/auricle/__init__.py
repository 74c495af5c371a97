"""auricle measures how much a language model can hear through an audio encoder.

Importing it loads neither torch nor numpy (law 8): the public names resolve on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "RunFolder": ("auricle.runs.folder", "RunFolder"),
    "RunOptions": ("auricle.job", "RunOptions"),
    "RunResult": ("auricle.benchmark", "RunResult"),
    "compare": ("auricle.runs.compare", "compare"),
    "get_suite": ("auricle.catalog.load", "get_suite"),
    "get_task": ("auricle.catalog.load", "get_task"),
    "list_suites": ("auricle.catalog.load", "list_suites"),
    "run": ("auricle.benchmark", "run"),
    "score": ("auricle.runs.rescore", "score"),
}

__all__ = [
    "RunFolder",
    "RunOptions",
    "RunResult",
    "__version__",
    "compare",
    "errors",
    "get_suite",
    "get_task",
    "list_suites",
    "run",
    "score",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("auricle.errors")
    if name in _PUBLIC:
        module, attribute = _PUBLIC[name]
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'auricle' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
