"""The two models behind FENSE and DATE, found in a folder or on the hub.

The published fluency detector is a torch pickle: its hash is checked first, it is read with
``weights_only=True`` (which runs no code), and a copy in safetensors is made once and used from
then on. The copy is a folder ``models/detector-<first 16 digits of the file's SHA-256>`` in the
data home: ``config.json`` and the tokenizer's files of its encoder, ``model.safetensors``
(``encoder.*``, ``clf.weight``, ``clf.bias``), and ``detector.json`` (``schema_version``,
``sha256``, ``encoder``, ``num_classes``).
"""

from __future__ import annotations

import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from auricle.errors import ScoringError
from auricle.files import (
    atomic_writer,
    building_folder,
    data_home,
    read_json,
    sha256_file,
    user_path,
    write_failure,
    write_json,
)
from auricle.metrics.result import MetricOptions

SENTENCE_MODEL = "sentence-transformers/paraphrase-TinyBERT-L6-v2"
DETECTOR_URL = (
    "https://github.com/blmoistawinde/fense/releases/download/V0.1/"
    "echecker_clotho_audiocaps_base.ckpt"
)
DETECTOR_SHA256 = "1a719f090af70614bbdb9f9437530b7e133c48cfa4a58d964de0d47fc974a2fa"
_DETECTOR_SCHEMA = 1
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt")
_HUB_FILES = ["*.json", "vocab.txt", "model.safetensors", "1_Pooling/config.json"]
_DEFAULT_MAX_TOKENS = 128


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to be called, with what identifies it."""

    name: str
    sha256: str
    """Of its weights' file."""
    tokenizer: Any
    network: Any
    """Sentence model: the encoder. Detector: ``encoder`` and ``clf`` in a ``ModuleDict``."""
    max_tokens: int

    @property
    def device(self) -> Any:
        """Where the weights are."""
        return next(self.network.parameters()).device


class CaptionModels(NamedTuple):
    """Both models; loaded once, they judge any number of tasks."""

    sentence: LoadedModel
    detector: LoadedModel


def require_given_models(options: MetricOptions) -> None:
    """Find the models that lie here by what the options say; nothing is fetched or loaded.

    Raises:
        ScoringError: One is not there; the text says what is expected.
    """
    if options.sentence_model and _is_place(options.sentence_model):
        _sentence_folder(options.sentence_model)
    if options.fluency_detector and not user_path(options.fluency_detector).is_file():
        _detector_folder(options.fluency_detector)


def load_caption_models(options: MetricOptions) -> CaptionModels:
    """Load both models from where the options say.

    Raises:
        ScoringError: One is missing or damaged; the text says how to get it.
    """
    return CaptionModels(
        load_sentence_model(options.sentence_model), load_detector(options.fluency_detector)
    )


def load_sentence_model(name: str | None) -> LoadedModel:
    """The sentence model: a BERT-like encoder with masked mean pooling.

    Args:
        name: Folder or hub name; None is the official `SENTENCE_MODEL`.

    Raises:
        ScoringError: It is missing, or pools in another way.
    """
    folder = _sentence_folder(name)
    pooling = folder / "1_Pooling" / "config.json"
    if pooling.is_file() and not read_json(pooling).get("pooling_mode_mean_tokens", True):
        raise ScoringError(
            f"The sentence model in {folder} does not pool by the mean of its tokens, as FENSE and "
            f"DATE are defined. Give --sentence-model another folder; official is {SENTENCE_MODEL}."
        )
    settings = folder / "sentence_bert_config.json"
    max_tokens = _DEFAULT_MAX_TOKENS
    if settings.is_file():
        max_tokens = int(read_json(settings).get("max_seq_length") or max_tokens)
    import transformers
    from safetensors.torch import load_file

    network = transformers.AutoModel.from_config(transformers.AutoConfig.from_pretrained(folder))
    prefix = f"{network.base_model_prefix}."
    weights = load_file(folder / "model.safetensors")
    return _ready(
        LoadedModel(
            name or SENTENCE_MODEL,
            sha256_file(folder / "model.safetensors"),
            transformers.AutoTokenizer.from_pretrained(folder),
            network,
            max_tokens,
        ),
        {key.removeprefix(prefix): value.float() for key, value in weights.items()},
        f"The sentence model in {folder}",
    )


def load_detector(name: str | None) -> LoadedModel:
    """The fluency error detector: an encoder's first token through one linear layer.

    Args:
        name: ``.ckpt`` file as published, or a folder that was made of one; None is the official
            one.

    Raises:
        ScoringError: It is missing or damaged.
    """
    folder = _detector_folder(name)
    import torch
    import transformers
    from safetensors.torch import load_file

    facts = read_json(folder / "detector.json")
    weights = load_file(folder / "model.safetensors")
    classes, hidden = weights["clf.weight"].shape
    encoder = transformers.AutoModel.from_config(transformers.AutoConfig.from_pretrained(folder))
    network = torch.nn.ModuleDict({"encoder": encoder, "clf": torch.nn.Linear(hidden, classes)})
    return _ready(
        LoadedModel(
            name or "echecker_clotho_audiocaps_base",
            facts["sha256"],
            transformers.AutoTokenizer.from_pretrained(folder),
            network,
            256,
        ),
        weights,
        f"The fluency detector in {folder}",
    )


def _ready(model: LoadedModel, weights: dict[str, Any], what: str) -> LoadedModel:
    """Fill a network with its weights, frozen, on the best device."""
    import torch

    problem = ""
    try:
        missing, _ = model.network.load_state_dict(weights, strict=False)
        # Neither metric uses the pooler, and positions are no weights.
        lacking = [key for key in missing if "pooler" not in key and "position_ids" not in key]
        if lacking:
            problem = f"its weights lack {', '.join(lacking[:3])}"
    except RuntimeError as error:
        problem = str(error).strip().splitlines()[-1].strip()
    if problem:
        raise ScoringError(
            f"{what} does not fit its own config.json: {problem}. Fetch the complete model again."
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.network.eval().requires_grad_(False).to(device)
    return model


def _sentence_folder(name: str | None) -> Path:
    return _model_folder(name or SENTENCE_MODEL, "sentence model", "--sentence-model")


def _model_folder(name: str, what: str, option: str) -> Path:
    """A folder with config, tokenizer and safetensors, given or fetched from the hub."""
    folder = user_path(name)
    if not folder.is_dir():
        if _is_place(name):
            raise ScoringError(
                f"The {what} '{name}' is no folder. Give {option} a folder with config.json, a "
                "tokenizer and model.safetensors, or a name on the Hugging Face hub."
            )
        folder = _from_hub(name, what, option)
    wanted = ["config.json"] + ([] if what == "detector's encoder" else ["model.safetensors"])
    lacking = [file for file in wanted if not (folder / file).is_file()]
    if not any((folder / file).is_file() for file in _TOKENIZER_FILES):
        lacking.append(" or ".join(_TOKENIZER_FILES))
    if lacking:
        raise ScoringError(
            f"The {what} in {folder} lacks {', '.join(lacking)}. Give {option} the complete folder "
            "as it was downloaded from the hub."
        )
    return folder


def _is_place(name: str) -> bool:
    """Whether a name means a folder here and not a repository of the hub."""
    folder = user_path(name)
    written = folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1
    return written or folder.is_dir()


def _from_hub(name: str, what: str, option: str) -> Path:
    import huggingface_hub

    patterns = [file for file in _HUB_FILES if what != "detector's encoder" or "model" not in file]
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=patterns))
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0][:160] if str(error).strip() else "no reply"
        raise ScoringError(
            f"The {what} '{name}' is no folder here and could not be fetched from the Hugging Face "
            f"hub ({type(error).__name__}: {first}). Connect once and give the command again, or "
            f"give {option} a folder that holds it."
        ) from error


def _detector_folder(name: str | None) -> Path:
    if name is None:
        folder = _converted_folder(DETECTOR_SHA256)
        if not (folder / "detector.json").is_file():
            _convert(_download_detector(), DETECTOR_SHA256, folder)
        return folder
    path = user_path(name)
    if path.is_dir():
        if not (path / "detector.json").is_file():
            raise ScoringError(
                f"The fluency detector in {path} lacks detector.json. Give --fluency-detector the "
                "published .ckpt file, or the folder that was made of it."
            )
        return path
    if not path.is_file():
        raise ScoringError(
            f"There is no fluency detector at '{name}'. Give --fluency-detector the .ckpt file "
            f"from {DETECTOR_URL}, or leave the option out to have it fetched."
        )
    # A file that the user names need not be the published one; its hash goes into every result.
    digest = sha256_file(path)
    folder = _converted_folder(digest)
    if not (folder / "detector.json").is_file():
        _convert(path, digest, folder)
    return folder


def _converted_folder(digest: str) -> Path:
    return data_home() / "models" / f"detector-{digest[:16]}"


def _download_detector() -> Path:
    path = data_home() / "models" / "echecker_clotho_audiocaps_base.ckpt"
    if not path.is_file():
        try:
            with (
                urllib.request.urlopen(DETECTOR_URL, timeout=60) as reply,
                atomic_writer(path) as stream,
            ):
                shutil.copyfileobj(reply, stream, 1 << 20)
        except OSError as error:
            raise ScoringError(
                f"The fluency detector could not be fetched from {DETECTOR_URL} ({error}). Connect "
                "once and give the command again, or give --fluency-detector the file."
            ) from error
    digest = sha256_file(path)
    if digest != DETECTOR_SHA256:
        path.unlink()
        raise ScoringError(
            f"The fluency detector that was fetched has the hash {digest[:16]}…, expected "
            f"{DETECTOR_SHA256[:16]}…; it was removed. Give the command again."
        )
    return path


def _convert(checkpoint: Path, digest: str, folder: Path) -> None:
    """Rewrite a published checkpoint as a folder, which appears whole or not at all."""
    import torch
    import transformers
    from safetensors.torch import save_file

    try:
        # The published file is a pickle: hashed above, and read without running code.
        content = torch.load(  # noqa: TID251
            checkpoint, map_location="cpu", weights_only=True
        )
        encoder, classes = str(content["model_type"]), int(content["num_classes"])
        state = {key: value.contiguous().clone() for key, value in content["state_dict"].items()}
        shape = tuple(state["clf.weight"].shape)
    except (RuntimeError, KeyError, TypeError, AttributeError, EOFError, ValueError) as error:
        raise ScoringError(_not_a_detector(checkpoint)) from error
    except Exception as error:
        # torch raises pickle's own error for a pickle that wants to run code.
        if type(error).__name__ != "UnpicklingError":
            raise
        raise ScoringError(_not_a_detector(checkpoint)) from error
    if shape[0] != classes:
        raise ScoringError(_not_a_detector(checkpoint))
    source = _model_folder(encoder, "detector's encoder", "a detector whose model_type is")
    try:
        with building_folder(folder) as building:
            transformers.AutoConfig.from_pretrained(source).save_pretrained(building)
            transformers.AutoTokenizer.from_pretrained(source).save_pretrained(building)
            kept = {k: v for k, v in state.items() if k != "encoder.embeddings.position_ids"}
            save_file(kept, building / "model.safetensors")
            write_json(
                building / "detector.json",
                {
                    "schema_version": _DETECTOR_SCHEMA,
                    "sha256": digest,
                    "encoder": encoder,
                    "num_classes": classes,
                },
            )
            if not folder.exists():
                building.replace(folder)
    except OSError as error:
        raise write_failure(folder, error) from error


def _not_a_detector(path: Path) -> str:
    return (
        f"{path} is no fluency detector as published: a dictionary of model_type, num_classes and "
        f"state_dict was expected. It may be damaged: remove it, and get it again from "
        f"{DETECTOR_URL}."
    )
