"""The package asks for what it imports, no more and no less; extras that are named exist."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

# Modules of a distribution that is not installed in every environment of developers.
UNINSTALLED = {"av": "av"}
# Asked for without being imported: programs, type stubs and pytest's plug-ins.
PROGRAMS = {"ruff", "mypy", "pre-commit", "pytest-xdist", "types-pyyaml"}


def normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def asked(requirements: list[str]) -> set[str]:
    """The distributions of a list of requirements, without versions and markers."""
    names = [re.match(r"[A-Za-z0-9._-]+", text) for text in requirements]
    return {normal(found[0]) for found in names if found}


def modules_of(folder: Path) -> Iterator[str]:
    """Top-level modules that the files of a folder import anywhere, themselves left out."""
    files = list(folder.rglob("*.py"))
    own = {path.stem for path in files} | {"auricle"}
    own |= {path.parent.name for path in files}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            else:
                continue
            tops = {name.partition(".")[0] for name in names}
            yield from tops - own - set(sys.stdlib_module_names)


def distributions(folder: Path) -> set[str]:
    """The distributions that a folder's imports come from."""
    known = packages_distributions()
    return {
        normal(name)
        for module in set(modules_of(folder))
        for name in ([UNINSTALLED[module]] if module in UNINSTALLED else known[module])
    }


def test_everything_imported_is_asked_for_and_everything_asked_for_is_imported() -> None:
    imported = distributions(ROOT / "src")
    asked_for = asked(PROJECT["dependencies"])
    optional = asked([text for name, extra in EXTRAS.items() if name != "dev" for text in extra])
    assert imported - asked_for - optional == set()
    assert asked_for - imported == set()


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "examples"])
def test_tests_and_benchmarks_import_what_developers_install(folder: str) -> None:
    asked_for = asked(
        [*PROJECT["dependencies"], *EXTRAS["dev"], *EXTRAS["m4a"], *EXTRAS["mutants"]]
    )
    # what the tests' helper modules are called, wherever they lie
    helpers = {path.stem for path in (ROOT / "tests").rglob("*.py")}
    helpers |= {path.stem for path in (ROOT / "benchmarks").rglob("*.py")}
    known = packages_distributions()
    missing = {
        module
        for module in set(modules_of(ROOT / folder)) - helpers
        if not {normal(name) for name in known.get(module, [module])} & asked_for
    }
    missing.discard("a_package_that_is_nowhere")  # of a test about packages that are not there
    assert missing == set()


def test_what_developers_install_is_used() -> None:
    used = distributions(ROOT / "src")
    known = packages_distributions()
    for folder in ("tests", "benchmarks"):
        for module in set(modules_of(ROOT / folder)):
            used |= {normal(name) for name in known.get(module, [])}
    assert asked(EXTRAS["dev"]) - used - PROGRAMS == set()


def test_every_version_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = asked([line for line in lines if line and not line.startswith("#")])
    wanted = asked([*PROJECT["dependencies"], *(text for one in EXTRAS.values() for text in one)])
    assert wanted - pinned - {"pydantic-core"} == set()  # pydantic asks for exactly one version


def test_extras_that_the_texts_name_exist() -> None:
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile"]
    for folder, kind in (("docs", "*.md"), ("src", "*.py"), ("src", "*.html")):
        texts += (ROOT / folder).rglob(kind)
    named = {
        extra.strip()
        for path in texts
        for found in re.findall(r"auricle\[([a-z0-9, ]+)\]", path.read_text(encoding="utf-8"))
        for extra in found.split(",")
    }
    assert named - set(EXTRAS) == set()
    assert "m4a" in named
