"""Imports an encoder's code and records which local files that opened; used by `child.py` alone.

The record makes the encoder's identity (law 5), so local code is always compiled from its source:
a stale .pyc would run something other than what is hashed. Files opened behind Python's back (C or
Rust) leave no audit event; the readers in use that do so are wrapped, mapped files are added, and
the features of the probe windows are the net below all this.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import platform
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

_PACKAGE = "encoder_folder"
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/lib/", "/lib64/", "/usr/lib/", "/usr/share/")
# Written by tools for themselves; a token's hash must not become part of anything that is shown.
_PRIVATE = {"token", "stored_tokens", ".netrc", "CACHEDIR.TAG"}
_opened: set[str] = set()
_wrapped = {"safetensors": ("safe_open",), "onnxruntime": ("InferenceSession",)}
_state = {"recording": False}


class SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles the source at every import and neither reads nor writes bytecode."""

    def get_code(self, fullname: str) -> types.CodeType:
        """Compile a module's source."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def installed_folders() -> tuple[str, ...]:
    """Folders of installed code: it counts by version, not by file."""
    places = sysconfig.get_paths()
    folders = {places[key] for key in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")}
    folders |= {f"{sys.base_prefix}/bin", f"{sys.base_prefix}/lib"}
    names = ("site-packages", "dist-packages", "lib-dynload")
    folders |= {entry for entry in sys.path if Path(entry).name in names}
    return tuple(f"{Path(folder).resolve()}{os.sep}" for folder in folders)


def _is_installed(path: str) -> bool:
    return f"{Path(path).resolve()}{os.sep}".startswith(installed_folders())


def _note(path: Any) -> None:
    with contextlib.suppress(Exception):  # an error here would become the encoder's
        _opened.add(os.path.normpath(Path(os.fsdecode(path)).absolute()))


def start_recording() -> None:
    """Note every file that is opened for reading from now on."""
    _state["recording"] = True
    sys.addaudithook(_hook)
    sys.meta_path.insert(0, _WrappingFinder())
    local = importlib.machinery.FileFinder.path_hook(
        (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
        (SourceLoader, importlib.machinery.SOURCE_SUFFIXES),
        (importlib.machinery.SourcelessFileLoader, importlib.machinery.BYTECODE_SUFFIXES),
    )

    def find_local(path: str) -> Any:
        if _is_installed(path or "."):
            raise ImportError(path)
        return local(path)

    sys.path_hooks.insert(0, find_local)
    import torch

    _note_first_argument(torch.jit, "load")


def import_encoder(request: dict[str, Any]) -> types.ModuleType:
    """Import the module that the order names, by file or by dotted name."""
    for place, folder in enumerate(request["folders_first"]):
        sys.path.insert(place, folder)
    sys.path.extend(folder for folder in request["folders_last"] if folder not in sys.path)
    for folder in [*request["folders_first"], *request["folders_last"]]:
        sys.path_importer_cache.pop(folder, None)
    if request["module"] is not None:
        return importlib.import_module(request["module"])
    path = request["path"]
    # A parent made up for the folder lets `from .layers import x` work beside `import layers`,
    # and keeps a file named like an installed package from standing in that package's place.
    parent = types.ModuleType(_PACKAGE)
    parent.__path__ = [str(Path(path).parent)]
    sys.modules[_PACKAGE] = parent
    name = f"{_PACKAGE}.{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=SourceLoader(name, path))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def recorded(also: list[str]) -> dict[str, Any]:
    """What was opened and imported so far; stops the recording.

    Args:
        also: Files that count wherever they lie, e.g. the encoder's own when it is installed.
    """
    _state["recording"] = False
    for module in list(sys.modules.values()):
        if isinstance(getattr(module, "__file__", None), str):
            _note(module.__file__)
    installed = installed_folders()
    here = Path(__file__).resolve().parent
    own = {str(path) for path in here.glob("child*.py")}
    local = [
        path
        for path in {_source_of(path) for path in _opened | _mapped_files()} - own
        if not path.startswith(_SYSTEM)
        and Path(path).name not in _PRIVATE
        and not str(Path(path).resolve()).startswith(installed)
        and Path(path).is_file()
    ]
    return {
        "files": sorted({*local, *also}),
        "packages": _packages(),
        "python": platform.python_version(),
    }


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _state["recording"] or event != "open":
        return
    path, _, flags = arguments
    if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR):
        return
    if isinstance(path, (str, bytes)) and path:
        _note(path)


def _note_first_argument(module: Any, name: str) -> None:
    original = getattr(module, name, None)
    if original is None:
        return

    def opened(*arguments: Any, **named: Any) -> Any:
        for value in [*arguments[:1], *named.values()]:
            if _state["recording"] and isinstance(value, (str, os.PathLike)):
                _note(value)
        return original(*arguments, **named)

    setattr(module, name, opened)


class _WrappingFinder:
    """Wraps the file readers of some libraries when, and only when, the encoder imports them."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _wrapped:
            return None
        readers = _wrapped.pop(name)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            execute(module)
            for reader in readers:
                _note_first_argument(module, reader)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _mapped_files() -> set[str]:
    paths = set()
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
            fields = line.split(maxsplit=5)
            if len(fields) == 6 and fields[5].startswith("/"):
                paths.add(fields[5])
    return paths


def _source_of(path: str) -> str:
    if path.endswith(".pyc"):
        with contextlib.suppress(ValueError):
            source = importlib.util.source_from_cache(path)
            return source if Path(source).exists() else path
    return path


def _packages() -> dict[str, str]:
    """Versions of the distributions whose modules were imported."""
    from importlib import metadata

    tops = {name.partition(".")[0] for name in sys.modules} - set(sys.builtin_module_names)
    tops -= set(getattr(sys, "stdlib_module_names", ()))
    versions = {}
    unknown = set()
    for top in tops:
        try:
            versions[top] = metadata.version(top)
        except (metadata.PackageNotFoundError, ValueError):
            origin = getattr(sys.modules.get(top), "__file__", None)
            if isinstance(origin, str) and _is_installed(origin):
                unknown.add(top)
    if unknown:
        for distribution in metadata.distributions():
            listed = (distribution.read_text("top_level.txt") or "").split()
            listed = listed or [str(file).partition("/")[0] for file in distribution.files or ()]
            name = distribution.metadata["Name"]
            if unknown.intersection(listed) and name:
                versions[name] = distribution.version
    return {name: version for name, version in sorted(versions.items()) if version}
