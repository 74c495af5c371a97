"""What lies in a model's folder or repository: its weights and its preprocessor configuration.

Nothing is made up in silence. Weights that are not there would be random numbers, so they are
refused where the features use them; what a missing configuration leaves open is noted.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Preprocessor = Union[dict[str, Any], bool, None]  # noqa: UP007  evaluated on Python 3.9
_FILES = ("processor_config.json", "preprocessor_config.json")
_WEIGHTS = (".safetensors", ".bin", ".json")
_SHOWN = 5


class ModelError(ValueError):
    """The model cannot be used; its text says all, so no traceback is shown with it."""

    says_all = True


class Checkpoint:
    """A model's files, and what is noted while they are loaded.

    Args:
        model: ``owner/name`` on the hub, or a folder.
        source: More that says where on the hub, as ``from_pretrained`` takes it.
        dtype: That of the parameters.
        preprocessor: What is set over the preprocessor configuration; False for none at all.
    """

    def __init__(
        self,
        model: str,
        source: dict[str, Any],
        dtype: torch.dtype,
        preprocessor: Preprocessor = None,
    ) -> None:
        self.model = model
        self.source = source
        self.notes: list[str] = []
        self.is_bare = preprocessor is False
        self.given: dict[str, Any] = {}
        if isinstance(preprocessor, dict):
            self.given = preprocessor
        elif preprocessor not in (None, False):
            raise ModelError(
                f"preprocessor is {json.dumps(preprocessor)}; an object is expected, e.g. "
                '{"do_normalize": false}, or false for none.'
            )
        self._dtype = dtype
        self._absent: dict[str, torch.Tensor] = {}
        self._unknown: list[str] = []

    def config(self) -> dict[str, Any]:
        """What config.json says.

        Raises:
            ModelError: It cannot be had, or is no configuration.
        """
        import transformers

        try:
            config, _ = transformers.PretrainedConfig.get_config_dict(self.model, **self.source)
            return dict(config)
        except (OSError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(self._unreadable(error)) from None

    def load(self, kind: Any, **more: Any) -> Any:
        """Load the weights into a model of a class of transformers.

        Args:
            kind: The class, with ``from_pretrained``.
            more: Further arguments of that.

        Raises:
            ModelError: The files cannot be had, are damaged, or are of another shape.
        """
        # Of a model's own code the traceback is shown; of transformers' it helps nobody.
        hushed = OSError if more.get("trust_remote_code") else Exception
        try:
            found = kind.from_pretrained(
                self.model,
                dtype=self._dtype,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, by name
                **self.source,
                **more,
            )
        except hushed as error:
            raise ModelError(self._unreadable(error)) from None
        if not isinstance(found, tuple):  # a from_pretrained of the model's own
            self.notes.append("What of its weights was loaded cannot be told: it loads by itself.")
            return found
        model, info = found
        self._refuse_other_shapes(info["mismatched_keys"])
        held = dict(model.state_dict(keep_vars=True))
        lacking = set(info["missing_keys"])
        loaded = {tensor.data_ptr() for name, tensor in held.items() if name not in lacking}
        self._absent = {
            name: held[name] for name in sorted(lacking) if held[name].data_ptr() not in loaded
        }
        self._unknown = sorted(info["unexpected_keys"])
        return model

    def _refuse_other_shapes(self, mismatched: Iterable[Any]) -> None:
        shapes = [f"{key} is {[*seen]} there, {[*wanted]} here" for key, seen, wanted in mismatched]
        if shapes:
            shown = "; ".join(sorted(shapes)[:_SHOWN])
            more = f"; and {len(shapes) - _SHOWN} more" if len(shapes) > _SHOWN else ""
            raise ModelError(
                f"The weights of {self.model} do not fit its config.json: {shown}{more}. Bring the "
                "config.json that the weights were saved with."
            )

    def settle(self, encode: Callable[[], torch.Tensor]) -> None:
        """Refuse weights that are missing and used, and note everything else that is odd.

        A weight is not used where NaN in its place leaves the features of a probe bit-equal.

        Args:
            encode: Gives the features of a probe.

        Raises:
            ModelError: The features use weights that the checkpoint does not hold.
        """
        absent, unknown = self._absent, _listed(self._unknown)
        number = len(self._unknown)
        if absent:
            parts = list(_parts(absent).values())
            used = [name for part in self._used(parts, encode, encode()) for name in part]
            if used:
                renamed = (
                    f" It holds {number} that the model has no place for ({unknown}): are the "
                    "names of another version?"
                    if number
                    else ""
                )
                raise ModelError(
                    f"{self.model} lacks {_count(used)} that its features use, so they would be "
                    f"random: {_listed(used)}.{renamed} Save the whole model there with "
                    "save_pretrained."
                )
            self.notes.append(
                f"The checkpoint lacks {_count(absent)}, which the features do not use: "
                f"{_listed(absent)}."
            )
        if number:
            self.notes.append(
                f"The checkpoint holds {_count(self._unknown)} that this model has no place for: "
                f"{unknown}."
            )
        self._absent = {}

    def _used(
        self, parts: list[list[str]], encode: Callable[[], torch.Tensor], plain: torch.Tensor
    ) -> list[list[str]]:
        """Those of some parts that the features follow, by halves."""
        tensors = [self._absent[name].detach() for part in parts for name in part]
        before = [tensor.clone() for tensor in tensors]
        for tensor in tensors:
            if tensor.is_floating_point() or tensor.is_complex():
                tensor.fill_(float("nan"))
            elif tensor.dtype is torch.bool:
                tensor.logical_not_()
            else:
                tensor.fill_(torch.iinfo(tensor.dtype).max)
        try:
            same = _is_same(plain, encode())
        except Exception:  # whatever it raises, it raises for what is in its place
            same = False
        for tensor, value in zip(tensors, before):  # noqa: B905
            tensor.copy_(value)
        if same:
            return []
        if len(parts) == 1:
            return parts
        half = len(parts) // 2
        return self._used(parts[:half], encode, plain) + self._used(parts[half:], encode, plain)

    def preprocessor(self) -> dict[str, Any] | None:
        """The feature extractor's settings; None where the model brings none.

        Raises:
            ModelError: A file of them is there and cannot be read, or holds something else.
        """
        for name in _FILES:
            path = self._path(name)
            if path is None:
                continue
            try:
                settings = json.loads(Path(path).read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError) as error:
                raise ModelError(self._damaged(name, _reason(error))) from None
            if not isinstance(settings, dict):
                raise ModelError(self._damaged(name, "it holds no JSON object"))
            if name == _FILES[0]:
                settings = settings.get("feature_extractor", settings.get("audio_processor"))
            if isinstance(settings, dict):
                return settings
        return None

    def settings(self, expected: Mapping[str, Any], choices: Mapping[str, Any]) -> dict[str, Any]:
        """Settings of the preprocessing, with what was given over what the files say.

        Args:
            expected: What only one value is known of.
            choices: What may be either way, and what holds where nothing is said.

        Returns:
            The choices, as they are for this model.

        Raises:
            ModelError: A setting has another value than is known here.
        """
        if self.is_bare:
            raise ModelError(
                "preprocessor is false, which models with code of their own alone understand. "
                "Leave it out."
            )
        strange = sorted(self.given.keys() - {*expected, *choices})
        if strange:
            known = ", ".join([*choices, *expected])
            raise ModelError(
                f"preprocessor names {strange[0]!r}; for this kind of model it can name {known}."
            )
        found = self.preprocessor()
        stated = {**(found or {}), **self.given}
        for name, value in expected.items():
            self._require(name, stated.get(name, value), value)
        settings = {name: stated.get(name, value) for name, value in choices.items()}
        for name, value in settings.items():
            if type(value) is not type(choices[name]):
                raise ModelError(
                    f"{name} of {self.model} is {json.dumps(value)}; true or false is expected. "
                    "Mend preprocessor_config.json, or give --encoder-args "
                    f'\'{{"preprocessor": {{"{name}": {json.dumps(choices[name])}}}}}\'.'
                )
        assumed = {k: v for k, v in {**choices, **expected}.items() if k not in self.given}
        if found is None and assumed:
            shown = ", ".join(f"{name} {json.dumps(value)}" for name, value in assumed.items())
            how = ""
            for name, value in choices.items():
                other = json.dumps({"preprocessor": {name: not value}})
                how = f" If it should be otherwise, give --encoder-args '{other}'."
            self.notes.append(
                f"There is no preprocessor_config.json, so this was assumed: {shown}.{how}"
            )
        return settings

    def require_rate(self, rate: object) -> None:
        """Refuse a model that hears audio at another rate.

        Raises:
            ModelError: It does.
        """
        self._require("sampling_rate", rate, 16_000)

    def _require(self, name: str, seen: object, expected: object) -> None:
        if seen == expected:
            return
        if name == "sampling_rate":
            raise ModelError(
                f"{self.model} was trained on audio at {seen} Hz; the audio here has {expected} "
                "Hz. Write a wrapper that resamples it."
            )
        raise ModelError(
            f"The preprocessor of {self.model} has {name} {json.dumps(seen)}; known here is "
            f"{json.dumps(expected)}. Write an encoder file for it (docs/encoder.md)."
        )

    def _path(self, name: str) -> str | None:
        from transformers.utils import cached_file

        place = Path(self.model) / name
        if os.path.lexists(place) and not place.is_file():  # a broken link, a folder
            raise ModelError(self._damaged(name, "it is no file"))
        try:
            found: str | None = cached_file(
                self.model, name, _raise_exceptions_for_missing_entries=False, **self.source
            )
        except OSError as error:
            raise ModelError(self._unreadable(error)) from None
        return found

    def _damaged(self, name: str, reason: str) -> str:
        return (
            f"{name} of {self.model} cannot be read ({reason}). Bring it from where the model "
            "was saved, or remove it if the model has none."
        )

    def _unreadable(self, error: BaseException) -> str:
        folder, reason = Path(self.model), _reason(error)
        if not folder.is_dir():
            return (
                f"hf:{self.model} cannot be fetched ({reason}). Bring it where there is a network "
                f"(hf download {self.model}), or give a folder that holds the model."
            )
        for path in sorted(folder.iterdir()):
            if path.suffix in _WEIGHTS and path.is_file() and _is_pointer(path):
                return (
                    f"{path} is the pointer that Git LFS left, not the file. Fetch it with "
                    "'git lfs pull'."
                )
        return (
            f"{self.model} cannot be loaded ({reason}). Save the model there with save_pretrained."
        )


def _reason(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0].rstrip(".:")
    kind = "" if isinstance(error, OSError) else type(error).__name__
    return ": ".join(filter(None, (kind, text)))


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(40).startswith(b"version https://git-lfs")


def _is_same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape:
        return False
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


def _parts(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by the layer, or the top-level part, that they lie in."""
    found: dict[str, list[str]] = {}
    for name in names:
        layer = re.match(r".*?\.\d+(?=\.)", name)
        found.setdefault(layer.group() if layer else name.partition(".")[0], []).append(name)
    return found


def _count(names: Iterable[str]) -> str:
    number = len([*names])
    return f"{number:,} weight{'s' if number != 1 else ''}"


def _listed(names: Iterable[str]) -> str:
    """Names in few words: whole parts, and how many lie in each."""
    parts = _parts(names)
    shown = [
        of_part[0] if len(of_part) == 1 else f"{part}.* ({len(of_part):,})"
        for part, of_part in parts.items()
    ]
    more = f" and {len(shown) - _SHOWN} more parts" if len(shown) > _SHOWN else ""
    return f"{', '.join(shown[:_SHOWN])}{more}"
