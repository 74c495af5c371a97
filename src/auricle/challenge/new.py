"""`auricle new`: a folder that is a whole submission from the first minute.

The template's encoder passes ``check`` as it is, so everything that goes wrong later has one cause:
the last change. ``pack`` refuses what only says what the template says.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from auricle.challenge.report_skeleton import skeleton_pdf
from auricle.challenge.submission import FILE_NAME
from auricle.errors import UserError
from auricle.files import atomic_writer, user_path, write_bytes, write_text

TEMPLATE = Path(__file__).resolve().parent / "template"
_WRAPPER = Path(__file__).resolve().parents[1] / "encoder" / "wrappers" / "hf.py"
_HUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?\Z")
_HUB_PAGE = "https://huggingface.co/"
_MODEL = "model"
"""The folder of a submission that a local model comes to lie in."""
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
_CLASS = re.compile(r"^class ([A-Za-z0-9]*Encoder)\b", re.MULTILINE)
_IMPORT = re.compile(r"^(?:from|import) (\w+)\b", re.MULTILINE)


def create_submission(folder: Path, *, source: str | None = None) -> list[Path]:
    """Write a new submission.

    Args:
        folder: It must be empty or not exist.
        source: ``hf:owner/model``, or a folder that ``save_pretrained`` wrote, whose files are
            copied, fills the encoder in; the template's log-mel encoder when None.

    Returns:
        The files that were written.

    Raises:
        UserError: The folder holds something, or the source is not known.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            f"{folder} is not empty; a new folder is expected. To turn an existing repository into "
            f"a submission: auricle new {folder} --adopt"
        )
    files = {path.name: path.read_text(encoding="utf-8") for path in _template_files()}
    model = _model_folder(source) if source is not None else None
    copied = _files_of(model) if model is not None else {}
    if source is not None:
        _fill_in(files, source, inside=[name for name in copied if name.endswith(_WEIGHTS)])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be made ({error.strerror}). Name a folder where you may write."
        ) from error
    written = []
    for name, text in sorted(files.items()):
        write_text(folder / name, text)
        written.append(folder / name)
    for name, path in copied.items():
        with path.open("rb") as stream, atomic_writer(folder / name) as copy:
            shutil.copyfileobj(stream, copy)
        written.append(folder / name)
    write_bytes(folder / "report.pdf", skeleton_pdf(files["report.md"]))
    return [*written, folder / "report.pdf"]


def _model_folder(source: str) -> Path | None:
    """A model's folder on this machine; None where the source is a name on the hub."""
    folder = user_path(source.removeprefix("hf:"))
    if source.removeprefix("hf:") in ("", ".", "..") or not folder.is_dir():
        return None
    if not (folder / "config.json").is_file():
        raise UserError(
            f"--from is {folder}, a folder without config.json, so it is no model in the Hugging "
            "Face format. Save it there with save_pretrained."
        )
    return folder


def _files_of(model: Path) -> dict[str, Path]:
    """A model's files by their names in the submission; hidden ones are left where they are."""
    found = {path.relative_to(model): path for path in sorted(model.rglob("*")) if path.is_file()}
    shown = {n: p for n, p in found.items() if not any(part.startswith(".") for part in n.parts)}
    if not any(name.name.endswith(_WEIGHTS) for name in shown):
        raise UserError(
            f"--from is {model}, which has no weights ({', '.join(_WEIGHTS)}). Save them there "
            "with save_pretrained."
        )
    return {f"{_MODEL}/{name.as_posix()}": path for name, path in shown.items()}


def _template_files() -> list[Path]:
    return [path for path in sorted(TEMPLATE.iterdir()) if path.is_file()]


def _fill_in(files: dict[str, str], source: str, *, inside: Sequence[str]) -> None:
    """Fill a model in; ``inside`` are its weights where they come along."""
    model = _MODEL if inside else source.removeprefix("hf:")
    if not inside and (not source.startswith("hf:") or not _HUB.match(model)):
        raise UserError(
            f"--from is '{source}'; a model of the Hugging Face hub is expected, hf:owner/model, "
            "or a folder with config.json."
        )
    fetched = ("source: none    ", "source: fetched "), ("urls: []", f"urls: [{_HUB_PAGE}{model}]")
    listed = ", ".join(json.dumps(name) for name in inside)
    taken_along = ("source: none    ", "source: inside  "), ("files: []", f"files: [{listed}]")
    files["encoder.py"] = _WRAPPER.read_text(encoding="utf-8")
    _add_siblings(files, files["encoder.py"])
    match = _CLASS.search(files["encoder.py"])
    assert match is not None, "the wrapper has an encoder class"
    files["requirements.txt"] += "transformers\n"
    declaration = files[FILE_NAME]
    for old, new in (
        ("encoder: encoder.py:MyEncoder", f"encoder: encoder.py:{match[1]}"),
        ("arguments: {}                            ", f"arguments: {{model: {model}}}   "),
        *(taken_along if inside else fetched),
        ("training_data: []\nparameters: 0\nhardware: none", _TO_FILL_IN),
    ):
        assert old in declaration, old
        declaration = declaration.replace(old, new)
    start = declaration.index("all. Empty only")
    stop = declaration.index("For example:")
    files[FILE_NAME] = f"{declaration[:start]}all. {declaration[stop:]}"


def _add_siblings(files: dict[str, str], code: str) -> None:
    """Add the files beside the wrapper that it imports, and those that they import."""
    for name in _IMPORT.findall(code):
        path = _WRAPPER.with_name(f"{name}.py")
        if path.is_file() and path.name not in files:
            files[path.name] = path.read_text(encoding="utf-8")
            _add_siblings(files, files[path.name])


_TO_FILL_IN = """\
training_data:      # fill in from the model's card; 'auricle pack' refuses it until then
parameters:         # how many numbers the encoder has; 'auricle check' counts them
hardware:           # what it was trained on"""
