"""auricle measures how much a language model can hear through an audio encoder.

Importing it loads neither torch nor numpy (law 8): the public names resolve on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC: dict[str, str] = {}

__all__ = sorted([*_PUBLIC, "__version__", "errors"])


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("auricle.errors")
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'auricle' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
