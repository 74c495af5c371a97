"""Which class of a file is meant, and what is said when none can be."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

BASE = "class BaseEncoder: pass\nBaseEncoder.__module__ = 'elsewhere'\n"


@pytest.fixture
def find(child_module: Callable[[str], ModuleType]) -> Callable[..., Any]:
    child_find = child_module("child_find")

    def look(source: str, class_name: str | None = None) -> Any:
        module = ModuleType("mine")
        exec(compile(source, "mine.py", "exec"), module.__dict__)
        return child_find.find_class(module, {"shown": "mine.py", "class_name": class_name})

    return look


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("class MyEncoder: pass", "MyEncoder"),
        ("class Encoder: pass\nclass Other: pass", "Encoder"),
        (BASE + "class MyEncoder(BaseEncoder): pass", "MyEncoder"),
        (BASE, "BaseEncoder"),
        ("class MyEncoder: pass\nAliasEncoder = MyEncoder", "MyEncoder"),
        ("class MyEncoder: pass\nclass _BlockEncoder: pass", "MyEncoder"),
        ("def make_Encoder(): pass", "make_Encoder"),
    ],
)
def test_the_only_class_that_can_be_meant_is_found(
    find: Callable[..., Any], source: str, name: str
) -> None:
    assert find(source).__name__ == name


def test_a_named_class_may_have_any_name(find: Callable[..., Any]) -> None:
    source = "class AEncoder: pass\nclass BEncoder: pass\nclass Whatever: pass"
    assert find(source, "Whatever").__name__ == "Whatever"
    assert find(source, "BEncoder").__name__ == "BEncoder"


@pytest.mark.parametrize(
    ("source", "class_name", "says"),
    [
        ("x = 1", None, r"mine.py has no class .*Classes seen: none. Rename"),
        (
            "class Model: pass\nclass Other: pass",
            None,
            r"no class whose name ends in 'Encoder'. Classes seen: Model, Other. .*mine.py:Model",
        ),
        (
            "class AEncoder: pass\nclass BEncoder: pass",
            None,
            r"has 2 classes .*mine.py:AEncoder, mine.py:BEncoder",
        ),
        ("class MyEncoder: pass", "Your", r"mine.py has no class Your. Classes seen: MyEncoder"),
    ],
)
def test_no_class_or_several_are_told_with_what_was_seen(
    find: Callable[..., Any], source: str, class_name: str | None, says: str
) -> None:
    with pytest.raises(Exception, match=says):
        find(source, class_name)


def test_wrong_arguments_show_the_signature(child_module: Callable[[str], ModuleType]) -> None:
    child_find = child_module("child_find")

    class Mine:
        def __init__(self, layer: int, gain: float = 1.0) -> None:
            pass

    child_find.check_arguments(Mine, "Mine", {"layer": 3})
    with pytest.raises(child_find.RefusalError, match=r"\{\"layr\": 1\}: .*--encoder-args"):
        child_find.check_arguments(Mine, "Mine", {"layr": 1})
    with pytest.raises(child_find.RefusalError, match=r"missing a required argument: 'layer'"):
        child_find.check_arguments(Mine, "Mine", {})
    with pytest.raises(child_find.RefusalError, match="class is a int: 5"):
        child_find.check_arguments(5, "int", {})


def test_what_a_class_returns_is_not_shown(child_module: Callable[[str], ModuleType]) -> None:
    def make(layer: int) -> None:
        pass

    child_find = child_module("child_find")
    with pytest.raises(child_find.RefusalError, match=r"^make\(layer: int\) cannot be"):
        child_find.check_arguments(make, "make", {})


def test_the_mask_is_passed_where_there_is_room(
    child_module: Callable[[str], ModuleType],
) -> None:
    count = child_module("child_find").positional_arguments
    assert count(lambda audio: 0) == 1
    assert count(lambda audio, *, other=0: 0) == 1
    assert count(lambda audio, mask=None, extra=None: 0) == 3
    assert count(lambda *everything: 0) == 2
