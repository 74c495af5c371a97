"""The kinds of models that `hf.py` knows: what goes in and how many frames come out."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from hf_frontend import (  # type: ignore[import-not-found]  # the file beside this one
    KaldiBanks,
    WhisperMel,
    normalised_wave,
)
from hf_loading import Checkpoint, ModelError  # type: ignore[import-not-found]

SAMPLE_RATE = 16_000
_WAVE = (
    *("wav2vec2", "hubert", "wavlm", "data2vec-audio", "wav2vec2-conformer"),
    *("unispeech", "unispeech-sat", "sew", "sew-d"),
)
# What `hf_frontend.py` does, in the words of the extractors' settings.
_MEL = {"sampling_rate": SAMPLE_RATE, "n_fft": 400, "hop_length": 160}
_KALDI = {"sampling_rate": SAMPLE_RATE, "feature_size": 80, "num_mel_bins": 80, "stride": 2}


class Family(torch.nn.Module):
    """What the encoder needs to know of a kind of model."""

    min_samples = 1
    max_samples: int | None = None
    padded_samples: int | None = None
    mixes_lengths = True

    def count_frames(self, lengths: torch.Tensor, available: int) -> torch.Tensor:
        """Frames that belong to windows of these lengths."""
        raise NotImplementedError

    def after_layer(self, states: torch.Tensor) -> torch.Tensor:
        """What is still to be done to a layer's output."""
        return states


class _Whisper(Family):
    """Whisper and Qwen2-Audio: a log-mel window of fixed length, silence behind shorter audio."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.mel = WhisperMel(model.config.num_mel_bins)
        self.padded_samples = self.max_samples = model.config.max_source_positions * 320
        self.pools = hasattr(model, "avg_pooler")

    def forward(self, audio: torch.Tensor, lengths: torch.Tensor, *, hidden: bool) -> Any:
        mel = self.mel(audio).to(next(self.model.parameters()).dtype)
        more = {"attention_mask": self._attention(lengths, mel.dtype)} if self.pools else {}
        return self.model(mel, output_hidden_states=hidden, **more)

    def _attention(self, lengths: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Qwen2-Audio does not attend to padding: 0 or the lowest number, ``[N, 1, F, F]``."""
        frames = self.model.config.max_source_positions
        beyond = torch.arange(frames, device=lengths.device)[None] >= self._fine(lengths)[:, None]
        lowest = torch.finfo(dtype).min
        mask = torch.zeros(beyond.shape, dtype=dtype, device=lengths.device)
        return mask.masked_fill(beyond, lowest)[:, None, None].expand(-1, 1, frames, -1)

    def _fine(self, lengths: torch.Tensor) -> torch.Tensor:
        return (lengths + 319) // 320

    def count_frames(self, lengths: torch.Tensor, available: int) -> torch.Tensor:
        fine = self._fine(lengths)
        # The tower's own rule for its pooling by two, which drops an odd frame at the end.
        return ((fine - 2) // 2 + 1).clamp(min=1) if self.pools else fine

    def after_layer(self, states: torch.Tensor) -> torch.Tensor:
        if not self.pools:
            return states
        pooled: torch.Tensor = self.model.avg_pooler(states.transpose(1, 2)).transpose(1, 2)
        return pooled


class _Wave(Family):
    """The wav2vec 2.0 family: samples through convolutions, 50 frames a second."""

    def __init__(self, model: Any, *, normalise: bool) -> None:
        super().__init__()
        self.model = model
        self.normalise = normalise
        # The others let padding leak (a group norm over time, data2vec's positions): for them only
        # windows of one length share a call, so nothing is padded.
        self.mixes_lengths = getattr(model.config, "feat_extract_norm", None) == "layer"
        samples = 1
        pairs = list(zip(model.config.conv_kernel, model.config.conv_stride))  # noqa: B905
        for kernel, stride in reversed(pairs):
            samples = (samples - 1) * stride + kernel
        self.min_samples = samples

    def forward(self, audio: torch.Tensor, lengths: torch.Tensor, *, hidden: bool) -> Any:
        if self.normalise:
            audio = normalised_wave(audio, lengths)
        mask = None
        if self.mixes_lengths:
            places = torch.arange(audio.shape[1], device=audio.device)
            mask = (places[None] < lengths[:, None]).long()
        audio = audio.to(next(self.model.parameters()).dtype)
        return self.model(audio, attention_mask=mask, output_hidden_states=hidden)

    def count_frames(self, lengths: torch.Tensor, available: int) -> torch.Tensor:
        counts: torch.Tensor = self.model._get_feat_extract_output_lengths(lengths)
        return counts.long().clamp(min=1, max=available)


class _Banks(Family):
    """wav2vec2-BERT: Kaldi filter banks, 50 frames a second."""

    min_samples = 560

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.banks = KaldiBanks()

    def forward(self, audio: torch.Tensor, lengths: torch.Tensor, *, hidden: bool) -> Any:
        banks = self.banks(audio, lengths).to(next(self.model.parameters()).dtype)
        places = torch.arange(banks.shape[1], device=audio.device)
        mask = (places[None] < self.banks.frames(lengths)[:, None]).long()
        return self.model(banks, attention_mask=mask, output_hidden_states=hidden)

    def count_frames(self, lengths: torch.Tensor, available: int) -> torch.Tensor:
        counts: torch.Tensor = self.banks.frames(lengths)
        if self.model.config.add_adapter:
            counts = self.model._get_feat_extract_output_lengths(counts, add_adapter=True)
        return counts.clamp(min=1, max=available)


class _Remote(Family):
    """A model with code of its own: its own feature extractor, one window at a time."""

    def __init__(self, model: Any, extractor: Any) -> None:
        super().__init__()
        self.model = model
        self.extractor = extractor
        # A longer window would be cut off, e.g. by Whisper's extractor behind 30 s.
        longest = getattr(extractor, "n_samples", None)
        self.max_samples = longest if type(longest) is int and longest > 0 else None
        self.takes_mask = False
        if extractor is not None:
            usual = self._extract(torch.zeros(SAMPLE_RATE))
            self.takes_mask = "attention_mask" in usual and _takes(model.forward, "attention_mask")

    def forward(self, audio: torch.Tensor, lengths: torch.Tensor, *, hidden: bool) -> Any:
        outputs = [self._one(row[:length], hidden) for row, length in zip(audio, lengths)]  # noqa: B905
        self.counts = [output[-1].shape[1] for output in outputs]
        joined = [
            torch.nn.utils.rnn.pad_sequence([state[0] for state in states], batch_first=True)
            for states in zip(*outputs)  # noqa: B905
        ]
        return _Output(joined[-1], tuple(joined))

    def _one(self, samples: torch.Tensor, hidden: bool) -> list[torch.Tensor]:
        given, mask = samples[None], None
        more: dict[str, Any] = {}
        if self.extractor is not None:
            asked = {"return_attention_mask": True}
            if not _takes(self.extractor.__call__, *asked):
                asked = {}
            inputs = self._extract(samples, **asked)
            names = [name for name in inputs if not name.endswith("mask")]
            given = inputs[names[0]].to(samples.device)
            mask = next((value for name, value in inputs.items() if name.endswith("mask")), None)
            if self.takes_mask and mask is not None:
                more["attention_mask"] = mask.to(samples.device)
        if hidden:
            states = self._layers(given, more)
        else:
            states = [self._features(self.model(given, **more))]
        return [_own_frames(state, mask) for state in states]

    def _extract(self, samples: torch.Tensor, **asked: Any) -> dict[str, Any]:
        inputs = self.extractor(
            samples.cpu().numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt", **asked
        )
        return dict(inputs) if hasattr(inputs, "keys") else {"": inputs}

    @staticmethod
    def _features(output: Any) -> torch.Tensor:
        for value in (getattr(output, "last_hidden_state", None), output, *_values(output)):
            if isinstance(value, torch.Tensor) and value.ndim == 3:
                return value
        raise ValueError("the model's output holds no features [B, T', D]; write a wrapper for it")

    def _layers(self, given: torch.Tensor, more: dict[str, Any]) -> list[torch.Tensor]:
        told = "This model does not give its layers one by one; leave out the argument 'layer'."
        if not _takes(self.model.forward, "output_hidden_states"):  # as Dasheng's
            raise ModelError(told)
        output = self.model(given, output_hidden_states=True, **more)
        states = getattr(output, "hidden_states", None)
        if not isinstance(states, (tuple, list)):
            raise ModelError(told)
        return list(states)

    def count_frames(self, lengths: torch.Tensor, available: int) -> torch.Tensor:
        return torch.tensor(self.counts, device=lengths.device)


def _own_frames(frames: torch.Tensor, mask: Any) -> torch.Tensor:
    """The frames ``[1, T', D]`` of what the extractor's mask ``[1, T]`` keeps, at least one."""
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2 or not mask.numel():
        return frames
    kept = mask[0].nonzero()[:, 0].to(frames.device)
    count = frames.shape[1]
    if len(kept) == mask.shape[1] or not count:
        return frames
    places = torch.unique(kept * count // mask.shape[1])
    return frames[:, places if len(places) else slice(0, 1)]


def _takes(function: Any, name: str) -> bool:
    """Whether a function has an argument of this name, or takes any."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    kinds = {parameter.kind for parameter in parameters.values()}
    return name in parameters or inspect.Parameter.VAR_KEYWORD in kinds


class _Output:
    def __init__(self, last: torch.Tensor, states: tuple[torch.Tensor, ...]) -> None:
        self.last_hidden_state = last
        self.hidden_states = states


def find_family(files: Checkpoint, *, trust_remote_code: bool) -> Any:
    """Load a model and choose its family by its configuration.

    Args:
        files: The model's.
        trust_remote_code: Whether code that comes with it may run.

    Raises:
        ModelError: It cannot be loaded, or is no audio encoder that is known here.
    """
    import transformers

    config = files.config()
    kind = config.get("model_type", "")
    if kind == "whisper":
        model = files.load(transformers.WhisperModel).get_encoder()
        files.settings({**_MEL, "feature_size": model.config.num_mel_bins}, {})
        return _Whisper(model)
    if kind in ("qwen2_audio", "qwen2_audio_encoder"):
        model = _qwen2_audio_tower(files, config)
        files.settings({**_MEL, "feature_size": model.config.num_mel_bins}, {})
        return _Whisper(model)
    if kind == "wav2vec2-bert":
        files.settings(_KALDI, {})
        return _Banks(files.load(transformers.Wav2Vec2BertModel))
    if kind in _WAVE:
        settings = files.settings({"sampling_rate": SAMPLE_RATE}, {"do_normalize": True})
        loaded = files.load(transformers.AutoModel)
        return _Wave(loaded, normalise=settings["do_normalize"])
    if "auto_map" in config:
        if not trust_remote_code:
            raise ModelError(
                f"{files.model} brings code of its own ({kind or 'no known type'}). If you trust "
                "it, give --trust-remote-code."
            )
        loaded = files.load(transformers.AutoModel, trust_remote_code=True)
        return _Remote(loaded, _extractor(files))
    known = ", ".join(["whisper", "qwen2_audio", "wav2vec2-bert", *_WAVE])
    raise ModelError(
        f"{files.model} is a model of type {kind or 'unknown'}; known audio encoders are {known}. "
        "Write an encoder file for it (docs/encoder.md)."
    )


def _qwen2_audio_tower(files: Checkpoint, config: dict[str, Any]) -> Any:
    import transformers

    tower = config.get("audio_config", config)
    return files.load(
        transformers.Qwen2AudioEncoder,
        config=transformers.Qwen2AudioEncoderConfig.from_dict(tower),
        key_mapping={r"^(model\.)?audio_tower\.": ""},
    )


def _extractor(files: Checkpoint) -> Any:
    """A model's own feature extractor; None where it has none and takes samples."""
    import transformers

    if files.is_bare:
        return None
    if files.preprocessor() is None:
        if files.given:
            raise ModelError(
                f"{files.model} has no preprocessor_config.json, so nothing of it can be set. "
                "Leave out the argument 'preprocessor'."
            )
        files.notes.append(
            "There is no preprocessor_config.json, so the model is given samples at 16000 Hz."
        )
        return None
    trust = {**files.source, "trust_remote_code": True}
    make = transformers.AutoFeatureExtractor.from_pretrained
    try:
        extractor = make(files.model, **trust)
        strange = sorted(name for name in files.given if not hasattr(extractor, name))
        if strange:
            raise ModelError(
                f"preprocessor names {strange[0]!r}, which the feature extractor of {files.model} "
                "does not have. Leave it out."
            )
        if files.given:
            extractor = make(files.model, **trust, **files.given)
    except ModelError:
        raise
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0][:200].rstrip(".:")
        raise ModelError(
            f"The feature extractor of {files.model} cannot be made ({reason}). Mend its "
            "preprocessor_config.json; if the model takes samples, give --encoder-args "
            "'{\"preprocessor\": false}'."
        ) from None
    files.require_rate(getattr(extractor, "sampling_rate", SAMPLE_RATE))
    return extractor


def _values(output: Any) -> list[Any]:
    if hasattr(output, "values"):
        return list(output.values())
    return list(output) if isinstance(output, (tuple, list)) else []
