"""What the user typed as ENCODER, understood without running a line of anyone's code.

Whatever can be wrong before an encoder's code runs is refused here, in one sentence.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from auricle.encoder.protocol import WRAPPERS, EncoderSpec, judged_folders
from auricle.errors import EncoderLoadError
from auricle.files import user_path

BUILT_IN = {"logmel": "logmel.py", "noise": "noise.py"}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\Z")
_HUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?\Z")
_SUBMISSION = "submission.yaml"
_FORMS = (
    "An encoder is file.py, file.py:Class, package.module:Class, hf:owner/model, a folder with "
    f"{_SUBMISSION} or config.json, or one of {', '.join(BUILT_IN)}."
)


def parse_encoder(
    text: str,
    *,
    arguments: str | Mapping[str, Any] | None = None,
    python: str | os.PathLike[str] | None = None,
    trust_remote_code: bool = False,
) -> EncoderSpec:
    """Understand ENCODER, ``--encoder-args`` and ``--encoder-python``.

    Args:
        text: ``file.py``, ``file.py:Class``, ``package.module:Class``, ``hf:owner/model``, a folder
            with a submission or a model in the Hugging Face format, or a built-in name.
        arguments: Keyword arguments of the class, as JSON text or a mapping.
        python: Another interpreter to run the encoder in.
        trust_remote_code: Let a ``hf:`` model run the code that comes with it.

    Raises:
        EncoderLoadError: Any of the three cannot be right.
    """
    if not isinstance(text, str | os.PathLike):
        raise EncoderLoadError(
            f"The encoder is a {type(text).__name__}; expected its name or path as text, e.g. "
            "'my_encoder.py:MyEncoder', since it is loaded in a process of its own."
        )
    given = _parse_arguments(arguments)
    interpreter = _find_python(python)
    text = os.fspath(text).strip()
    if text in BUILT_IN:
        path = str(WRAPPERS / BUILT_IN[text])
        return EncoderSpec(text, text, "builtin", path, None, given, interpreter)
    if text and (user_path(text) / _SUBMISSION).is_file():
        return _parse_submission(text, given, interpreter)
    if text.startswith("hf:") or _is_model_folder(text):
        return _parse_model(text, given, interpreter, trust_remote_code=trust_remote_code)
    target, class_name = _split_class(text)
    if target in BUILT_IN:
        raise EncoderLoadError(f"{target} is built in and takes no class. Write {target} alone.")
    if target.endswith(".py"):
        path = str(_find_file(target))
        name = _short_name(Path(path).stem, class_name)
        spec = EncoderSpec(text, name, "file", path, class_name, given, interpreter)
        judged = judged_folders(Path(path))
        return replace(spec, folder=judged[0], judged=judged) if judged else spec
    if class_name is None and _DOTTED.match(text):
        module, _, last = text.rpartition(".")
        if module and last[0].isupper():  # as XARES-LLM writes it
            target, class_name = module, last
    if class_name is not None and _DOTTED.match(target):
        name = _short_name(target.rpartition(".")[2], class_name)
        return EncoderSpec(text, name, "module", target, class_name, given, interpreter)
    raise EncoderLoadError(_explain(text, target))


def _split_class(text: str) -> tuple[str, str | None]:
    target, colon, name = text.rpartition(":")
    if not colon:
        return text, None
    if _IDENTIFIER.match(name):
        return target, name
    if target.endswith(".py"):
        raise EncoderLoadError(
            f"'{name}' after {target}: is no class name. Write {target}:MyEncoder."
        )
    return text, None


def _find_file(target: str) -> Path:
    path = user_path(target).resolve()
    if path.is_file():
        if not os.access(path, os.R_OK):
            raise EncoderLoadError(f"{path} cannot be read. Change its permissions.")
        return path
    if path.is_dir():
        raise EncoderLoadError(f"{path} is a folder. Name the Python file in it.")
    folder = path.parent
    if not folder.is_dir():
        raise EncoderLoadError(f"There is no file {path}, nor its folder. Check the path.")
    names = [entry.name for entry in sorted(folder.glob("*.py"))[:1000]]
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    offer = f" Nearest there: {', '.join(near)}." if near else ""
    raise EncoderLoadError(f"There is no file {path}. Check the path.{offer}")


def _explain(text: str, target: str) -> str:
    if not text:
        return f"No encoder was named. {_FORMS}"
    if Path(f"{target}.py").is_file():
        return f"'{text}' is no encoder, but {target}.py is a file: write {target}.py. {_FORMS}"
    if user_path(target).is_dir():
        return (
            f"{text} is a folder without {_SUBMISSION} or config.json. Name the encoder's file in "
            f"it, e.g. {Path(target) / 'my_encoder.py'}. {_FORMS}"
        )
    if _DOTTED.match(text) and "." in text:
        return f"'{text}' names a module without a class: write {text}:MyEncoder. {_FORMS}"
    near = difflib.get_close_matches(text.lower(), BUILT_IN, n=1, cutoff=0.5)
    offer = f" Did you mean {near[0]}?" if near else ""
    return f"'{text}' is no encoder.{offer} {_FORMS}"


def _parse_arguments(arguments: str | Mapping[str, Any] | None) -> dict[str, Any]:
    if arguments is None:
        return {}
    shown = str(arguments)[:200]
    how = "Give a JSON object, e.g. --encoder-args '{\"layer\": 6}'."
    try:
        value = json.loads(arguments if isinstance(arguments, str) else json.dumps(arguments))
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()  # as they will be stored
    except (ValueError, TypeError, RecursionError) as error:
        raise EncoderLoadError(
            f"The encoder's arguments {shown} are not JSON ({error}). {how}"
        ) from error
    if not isinstance(value, dict):
        raise EncoderLoadError(
            f"The encoder's arguments {shown} are a JSON {type(value).__name__}. {how}"
        )
    bad = [key for key in value if not key.isidentifier()]
    if bad:
        raise EncoderLoadError(f"'{bad[0]}' cannot be the name of an argument. {how}")
    return value


def _find_python(python: str | os.PathLike[str] | None) -> Path | None:
    if python is None:
        return None
    path = user_path(python).absolute()
    if path.is_dir():
        offers = [path / "bin" / "python", path / "python"]
        offer = next((f" Write {o}." for o in offers if o.is_file()), "")
        raise EncoderLoadError(f"{path} is a folder, not a Python interpreter.{offer}")
    if not path.is_file():
        raise EncoderLoadError(f"There is no Python interpreter {path}. Check --encoder-python.")
    if not os.access(path, os.X_OK):
        raise EncoderLoadError(f"{path} cannot be executed. Name a Python interpreter.")
    return path


def _parse_submission(text: str, given: dict[str, Any], interpreter: Path | None) -> EncoderSpec:
    """The encoder that a submission's own declaration names; it starts in the submission."""
    import yaml

    folder = user_path(text).resolve()
    path = folder / _SUBMISSION
    try:
        declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise EncoderLoadError(f"{path} cannot be read: {error}. Mend it there.") from error
    encoder = declared.get("encoder") if isinstance(declared, dict) else None
    if not isinstance(encoder, str) or not encoder.strip():
        raise EncoderLoadError(f"{path} names no encoder. Write 'encoder: encoder.py:MyEncoder'.")
    target, class_name = _split_class(encoder.strip())
    if not target.endswith(".py"):
        raise EncoderLoadError(
            f"{path} names '{encoder}' as encoder; a file of the folder is expected. Write "
            "'encoder: encoder.py:MyEncoder'."
        )
    arguments = _parse_arguments(declared.get("arguments") or {}) | given
    return EncoderSpec(
        text=text,
        name=_short_name(folder.name, class_name),
        kind="file",
        target=str(_find_file(str(folder / target))),
        class_name=class_name,
        arguments=arguments,
        python=interpreter,
        folder=folder,
    )


def _is_model_folder(text: str) -> bool:
    return bool(text) and (user_path(text) / "config.json").is_file()


def _parse_model(
    text: str, given: dict[str, Any], interpreter: Path | None, *, trust_remote_code: bool
) -> EncoderSpec:
    model = text.removeprefix("hf:")
    folder = user_path(model)
    if model and folder.is_dir():
        model = str(folder.absolute())
        if not (folder / "config.json").is_file():
            raise EncoderLoadError(
                f"{model} has no config.json, so it is no model in the Hugging Face format. "
                "Save it there with save_pretrained."
            )
    elif not _HUB.match(model):
        raise EncoderLoadError(
            f"'{model}' is no model name: write hf:owner/model, e.g. hf:openai/whisper-base."
        )
    taken = {"model", "trust_remote_code"} & given.keys()
    if taken:
        raise EncoderLoadError(
            f"The argument '{min(taken)}' is set by ENCODER itself or by --trust-remote-code; "
            "leave it out of --encoder-args."
        )
    name = _short_name(model.rstrip("/").rpartition("/")[2], None)
    arguments = {"model": model, **given}
    if trust_remote_code:
        arguments["trust_remote_code"] = True
    return EncoderSpec(text, name, "hf", str(WRAPPERS / "hf.py"), None, arguments, interpreter)


def _short_name(stem: str, class_name: str | None) -> str:
    whole = f"{stem}-{class_name}" if class_name else stem
    return re.sub(r"[^A-Za-z0-9._-]+", "_", whole).lstrip(".-")[:80] or "encoder"
