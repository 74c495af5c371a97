"""Finds the encoder's class in its module and says what is wrong; used by `child.py` alone."""

from __future__ import annotations

import inspect
import json
from typing import Any


class RefusalError(Exception):
    """Why the encoder cannot be loaded: a sentence for the user instead of a traceback."""

    says_all = True


def find_class(module: Any, request: dict[str, Any]) -> Any:
    """The class that is meant: the named one, or the only one whose name ends in 'Encoder'.

    Args:
        module: The imported module.
        request: ``shown`` is what to call it, ``class_name`` the wanted class or None.
    """
    shown = request["shown"]
    wanted = request["class_name"]
    names = [name for name in dir(module) if not name.startswith("_")]
    seen = [name for name in names if isinstance(getattr(module, name), type)]
    if wanted is not None:
        if not hasattr(module, wanted):
            there = ", ".join(seen) or "none"
            raise RefusalError(f"{shown} has no class {wanted}. Classes seen: {there}.")
        return getattr(module, wanted)
    ending = {name: getattr(module, name) for name in names if name.endswith("Encoder")}
    classes = {name: value for name, value in ending.items() if isinstance(value, type)}
    own = {n: c for n, c in classes.items() if c.__module__ == module.__name__}
    # A file may also only import its encoder, as XARES-LLM allows; then that one is meant.
    found = list({id(value): value for value in (own or classes or ending).values()}.values())
    if len(found) == 1:
        return found[0]
    if found:
        offers = ", ".join(f"{shown}:{name}" for name in (own or classes or ending))
        raise RefusalError(
            f"{shown} has {len(found)} classes whose name ends in 'Encoder'. Say which one: "
            f"{offers} (a leading underscore hides a class that is only a building block)."
        )
    own_names = [n for n in seen if getattr(module, n).__module__ == module.__name__]
    example = f", or name the class: {shown}:{own_names[0]}" if own_names else ""
    raise RefusalError(
        f"{shown} has no class whose name ends in 'Encoder'. Classes seen: "
        f"{', '.join(own_names or seen) or 'none'}. Rename the encoder's class{example}.",
    )


def check_module(error: ModuleNotFoundError, request: dict[str, Any]) -> None:
    """The module that the user named must be there; one that it imports is its own affair."""
    named = request["module"]
    if named is not None and f"{named}.".startswith(f"{error.name}."):
        raise RefusalError(
            f"There is no module {error.name} in the encoder's environment. Check the name, start "
            "where it can be imported, or name an interpreter that has it (--encoder-python)."
        ) from None


def check_arguments(factory: Any, name: str, arguments: dict[str, Any]) -> None:
    """The class must be callable with exactly these keyword arguments."""
    if not callable(factory):
        raise RefusalError(f"What should be the encoder's class is a {name}: {factory!r}.")
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return
    shown = str(signature).partition(" -> ")[0]
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise RefusalError(
            f"{name}{shown} cannot be constructed with the arguments "
            f"{json.dumps(arguments)[:500]}: {error}. Give them as JSON: "
            "--encoder-args '{\"name\": value}'."
        ) from None


def mask_argument(forward: Any) -> str:
    """What a method calls its second positional argument; empty where it has none with a name."""
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):
        return ""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [parameter.name for parameter in parameters if parameter.kind in kinds]
    return names[1] if len(names) > 1 and len(names[1]) <= 60 else ""


def positional_arguments(forward: Any) -> int:
    """How many positional arguments a method takes; two where it cannot be told."""
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):
        return 2
    if any(parameter.kind == parameter.VAR_POSITIONAL for parameter in parameters):
        return 2
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in kinds for parameter in parameters)
