"""The kinds of models that `hf.py` knows: what goes in and how many frames come out."""

from __future__ import annotations

from typing import Any

import torch
from hf_frontend import (  # type: ignore[import-not-found]  # the file beside this one
    KaldiBanks,
    WhisperMel,
    normalised_wave,
)

SAMPLE_RATE = 16_000
_WAVE = (
    *("wav2vec2", "hubert", "wavlm", "data2vec-audio", "wav2vec2-conformer"),
    *("unispeech", "unispeech-sat", "sew", "sew-d"),
)


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

    def forward(self, audio: torch.Tensor, lengths: torch.Tensor, *, hidden: bool) -> Any:
        outputs = [self._one(row[:length], hidden) for row, length in zip(audio, lengths)]  # noqa: B905
        self.counts = [output[0].shape[1] for output in outputs]
        joined = [
            torch.nn.utils.rnn.pad_sequence([state[0] for state in states], batch_first=True)
            for states in zip(*outputs)  # noqa: B905
        ]
        return _Output(joined[-1], tuple(joined))

    def _one(self, samples: torch.Tensor, hidden: bool) -> list[torch.Tensor]:
        inputs: Any = samples[None]
        if self.extractor is not None:
            inputs = self.extractor(
                samples.cpu().numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt"
            )
        tensors = dict(inputs) if hasattr(inputs, "keys") else {"": inputs}
        first = next(iter(tensors.values())).to(samples.device)
        if hidden:
            return self._layers(first)
        output = self.model(first)
        for value in (getattr(output, "last_hidden_state", None), output, *_values(output)):
            if isinstance(value, torch.Tensor) and value.ndim == 3:
                return [value]
        raise ValueError("the model's output holds no features [B, T', D]; write a wrapper for it")

    def _layers(self, given: torch.Tensor) -> list[torch.Tensor]:
        told = "this model does not give its layers one by one; leave out the argument 'layer'"
        try:
            states = self.model(given, output_hidden_states=True).hidden_states
        except TypeError as error:  # Dasheng's takes no such argument
            raise ValueError(told) from error
        if not isinstance(states, (tuple, list)):
            raise ValueError(told)
        return list(states)

    def count_frames(self, lengths: torch.Tensor, available: int) -> torch.Tensor:
        return torch.tensor(self.counts, device=lengths.device)


class _Output:
    def __init__(self, last: torch.Tensor, states: tuple[torch.Tensor, ...]) -> None:
        self.last_hidden_state = last
        self.hidden_states = states


def find_family(
    model: str, source: dict[str, Any], dtype: torch.dtype, *, trust_remote_code: bool
) -> Any:
    """Load a model and choose its family by its configuration."""
    import transformers

    config, _ = transformers.PretrainedConfig.get_config_dict(model, **source)
    kind = config.get("model_type", "")
    load = {**source, "dtype": dtype}
    if kind == "whisper":
        return _Whisper(transformers.WhisperModel.from_pretrained(model, **load).get_encoder())
    if kind in ("qwen2_audio", "qwen2_audio_encoder"):
        return _Whisper(_qwen2_audio_tower(model, config, load))
    if kind == "wav2vec2-bert":
        return _Banks(transformers.Wav2Vec2BertModel.from_pretrained(model, **load))
    if kind in _WAVE:
        settings = _preprocessor(model, source)
        if settings.get("sampling_rate", SAMPLE_RATE) != SAMPLE_RATE:
            raise ValueError(
                f"{model} was trained on audio at {settings['sampling_rate']} Hz; the audio here "
                "has 16000 Hz. Write a wrapper that resamples it."
            )
        loaded = transformers.AutoModel.from_pretrained(model, **load)
        return _Wave(loaded, normalise=settings.get("do_normalize", True))
    if "auto_map" in config:
        if not trust_remote_code:
            raise ValueError(
                f"{model} brings code of its own ({kind or 'no known type'}). If you trust it, "
                "give --trust-remote-code."
            )
        trust = {**source, "trust_remote_code": True}
        loaded = transformers.AutoModel.from_pretrained(model, dtype=dtype, **trust)
        return _Remote(loaded, _extractor(model, trust))
    known = ", ".join(["whisper", "qwen2_audio", "wav2vec2-bert", *_WAVE])
    raise ValueError(
        f"{model} is a model of type {kind or 'unknown'}; known audio encoders are {known}. Write "
        "an encoder file for it (docs/encoder.md)."
    )


def _qwen2_audio_tower(model: str, config: dict[str, Any], load: dict[str, Any]) -> Any:
    import transformers

    tower = config.get("audio_config", config)
    return transformers.Qwen2AudioEncoder.from_pretrained(
        model,
        config=transformers.Qwen2AudioEncoderConfig.from_dict(tower),
        key_mapping={r"^(model\.)?audio_tower\.": ""},
        **load,
    )


def _preprocessor(model: str, source: dict[str, Any]) -> dict[str, Any]:
    import transformers

    try:
        settings, _ = transformers.FeatureExtractionMixin.get_feature_extractor_dict(
            model, **source
        )
    except OSError:  # a folder that save_pretrained wrote holds the model alone
        return {}
    return dict(settings)


def _extractor(model: str, trust: dict[str, Any]) -> Any:
    import transformers

    try:
        return transformers.AutoFeatureExtractor.from_pretrained(model, **trust)
    except (OSError, ValueError):  # it has none: the model takes samples
        return None


def _values(output: Any) -> list[Any]:
    if hasattr(output, "values"):
        return list(output.values())
    return list(output) if isinstance(output, (tuple, list)) else []
