"""The rooms: who may import whom, what stays light, and the budgets (docs/architecture.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import auricle

SOURCE = Path(auricle.__file__).parent
FILES = sorted(p for p in SOURCE.rglob("*.py") if "template" not in p.relative_to(SOURCE).parts)

EVERYONE = {"delimited", "errors", "files", "names", "seeding", "progress", "records"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "names": set(),
    "seeding": {"errors"},
    "progress": {"errors"},
    "delimited": {"errors"},
    "records": {"errors", "files"},
    "catalog": set(),
    "data": {"catalog", "metrics"},
    "synth": {"catalog", "data"},
    "sandbox": set(),
    "encoder": {"sandbox"},
    "features": {"data", "encoder"},
    "lalm": {"catalog", "data", "features"},
    "metrics": set(),
    "scoring": {"catalog", "metrics"},
    "runs": {"catalog", "data", "metrics", "scoring"},
    "challenge": {"catalog", "encoder.protocol", "scoring", "runs", "sandbox"},
    "board": {"catalog", "scoring", "runs", "challenge"},
    "job": {"catalog", "data", "encoder", "metrics", "runs"},
    "stages": {"catalog", "data", "encoder", "features", "lalm", "metrics", "runs", "job"},
    "plan": {"catalog", "data", "encoder", "features", "lalm", "runs", "job", "stages"},
    "benchmark": {
        *("catalog", "data", "encoder", "features", "lalm", "synth"),
        *("metrics", "scoring", "runs", "job", "plan", "stages"),
    },
}
ANYTHING = {"cli", "__main__", "__init__"}
TORCH_ROOMS = {"encoder", "features", "lalm", "job", "plan", "stages", "benchmark", "cli"}
LIGHT_FILES = {"encoder/protocol.py"}
"""Files of heavy rooms that light rooms may import: these files import none of their own room."""
CAPTIONING_ROOMS = {"metrics"}
"""May import torch inside functions alone."""


def room(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Every imported module, its line, and whether it stands at the top of the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, _top_level(tree.body)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            base = node.module or ""
            names = [f"{base}.{a.name}" if base == "auricle" else base for a in node.names]
            yield from ((name, node.lineno, id(node) in top) for name in names)


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from _top_level(node.body)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_room_imports_only_the_rooms_below_it(path: Path) -> None:
    here = room(path)
    if here in ANYTHING:
        return
    allowed = MAY_IMPORT[here] | {here}
    if here not in EVERYONE:
        allowed |= EVERYONE
    for name, line, _ in imports(path):
        if name.split(".")[0] == "auricle":
            target = name.split(".")[1] if "." in name else "__init__"
            file = ".".join(name.split(".")[1:3])
            assert {target, file} & allowed, f"{path.relative_to(SOURCE)}:{line} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_light_rooms_never_import_torch(path: Path) -> None:
    here = room(path)
    if here in TORCH_ROOMS and str(path.relative_to(SOURCE)) not in LIGHT_FILES:
        return
    for name, line, at_top in imports(path):
        heavy = name.split(".")[0] in {"torch", "transformers", "peft"}
        allowed = here in CAPTIONING_ROOMS and not at_top
        assert not heavy or allowed, f"{path.relative_to(SOURCE)}:{line} imports {name}"


@pytest.mark.parametrize("name", sorted(LIGHT_FILES))
def test_a_light_file_of_a_heavy_room_imports_none_of_that_room(name: str) -> None:
    for imported, line, _ in imports(SOURCE / name):
        target = imported.split(".")[1] if imported.startswith("auricle.") else "errors"
        assert target in EVERYONE, f"{name}:{line} imports {imported}"


def test_the_encoders_child_imports_nothing_of_auricle() -> None:
    for path in [*SOURCE.glob("encoder/child*.py"), *SOURCE.glob("encoder/wrappers/*.py")]:
        for name, line, _ in imports(path):
            assert name.split(".")[0] != "auricle", f"{path.name}:{line} imports {name}"


def test_the_encoders_child_reads_on_python_3_9() -> None:
    """An encoder may live in an interpreter of its own, older than ours."""
    files = [*SOURCE.glob("encoder/child*.py"), *SOURCE.glob("challenge/construct.py")]
    words = ["check", "--isolated", "--target-version", "py39", "--select", "E9"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *words, *files], capture_output=True, text=True, check=False
    )
    assert len(files) > 5
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_and_functions_stay_within_their_budgets(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(SOURCE)
    assert text.count("\n") <= 600, f"{name} has {text.count(chr(10))} lines; 600 is the limit"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 80, f"{name}:{node.lineno} {node.name} has {length} lines; 80 at most"
            count = len([*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs])
            count -= bool(node.args.args and node.args.args[0].arg in ("self", "cls"))
            free = room(path) == "cli" or (str(name), node.name) == ("benchmark.py", "run")
            assert count <= 7 or free, f"{name}:{node.lineno} {node.name} has {count} parameters"


def test_no_file_has_a_name_that_says_nothing() -> None:
    for path in FILES:
        assert path.stem not in {"utils", "helpers", "common", "misc"}, path


def test_a_rooms_init_is_empty() -> None:
    for path in SOURCE.glob("*/**/__init__.py"):
        assert not path.read_text(encoding="utf-8").strip(), f"{path} is not empty"


def test_public_names_are_pinned_and_resolve() -> None:
    assert auricle.__all__ == PUBLIC
    for name in PUBLIC:
        assert getattr(auricle, name) is not None


PUBLIC = [
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


def test_the_project_speaks_of_itself_alone() -> None:
    root = SOURCE.parent.parent
    listed = subprocess.run(
        ["git", "ls-files"], cwd=root, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    machine = "/" + "work" + "/"
    for name in listed.stdout.split():
        path = root / name
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".html", ".txt"} and path.is_file():
            assert machine not in path.read_text(encoding="utf-8"), f"{name} has a machine's path"


def test_every_module_says_what_it_is_for() -> None:
    for path in FILES:
        if path.name != "__init__.py" or path.parent == SOURCE:
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))


def test_every_file_of_the_package_is_installed() -> None:
    """A wheel holds the rooms' Python files, and of the rest what pyproject.toml names."""
    settings = tomllib.loads(
        (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    )
    patterns = settings["tool"]["setuptools"]["package-data"]["auricle"]
    named = {path for pattern in patterns for path in SOURCE.glob(pattern)}
    rooms = {path.parent for path in SOURCE.rglob("__init__.py")}
    files = {p for p in SOURCE.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    code = {path for path in files if path.suffix == ".py" and path.parent in rooms}
    assert files - code - named == set()
