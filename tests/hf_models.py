"""Tiny Hugging Face audio models with random weights, saved as a user's folder would be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
CONV = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
WAVE: dict[str, dict[str, Any]] = {
    "Wav2Vec2": {},
    "Hubert": {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True},
    "WavLM": {},
    "Data2VecAudio": {"num_conv_pos_embeddings": 5, "conv_pos_kernel_size": 5},
}
FAMILIES = (*WAVE, "Wav2Vec2Bert", "Whisper", "Qwen2Audio", "remote")

_TOWER = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
_MEL = {"num_mel_bins": 80, "max_source_positions": 150}
_WORDS = {"vocab_size": 64, "pad_token_id": 1, "bos_token_id": 1, "eos_token_id": 1}

DASHENG_LIKE = '''
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class OddConfig(PretrainedConfig):
    model_type = "odd-audio"


class OddModel(PreTrainedModel):
    """As Dasheng: the frames are called hidden_states, beside logits of the whole clip."""

    config_class = OddConfig
    main_input_name = "input_values"

    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(160, 6)
        self.post_init()

    def forward(self, input_values):
        frames = self.layer(input_values)
        return SequenceClassifierOutput(logits=frames.mean(1), hidden_states=frames)
'''
_EXTRACTOR = """
import torch
from transformers.feature_extraction_sequence_utils import SequenceFeatureExtractor
from transformers.feature_extraction_utils import BatchFeature


class OddExtractor(SequenceFeatureExtractor):
    model_input_names = ["input_values"]

    def __init__(self, feature_size=160, sampling_rate=16000, padding_value=0.0, **more):
        super().__init__(feature_size, sampling_rate, padding_value, **more)

    def __call__(self, samples, sampling_rate=None, return_tensors="pt"):
        samples = torch.as_tensor(samples)
        pieces = torch.nn.functional.pad(samples, (0, -len(samples) % 160)).reshape(1, -1, 160)
        return BatchFeature({"input_values": pieces})
"""


def whisper_config() -> Any:
    """Whisper with a window of 3 s."""
    import transformers

    return transformers.WhisperConfig(
        **_TOWER, **_MEL, **_WORDS,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32,
        decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip


def bert_config() -> Any:
    """wav2vec2-BERT."""
    import transformers

    return transformers.Wav2Vec2BertConfig(
        **TINY, feature_projection_input_dim=160, conv_depthwise_kernel_size=5
    )


def qwen_config() -> Any:
    """Qwen2-Audio, language model and all."""
    import transformers

    return transformers.Qwen2AudioConfig(
        audio_config={**_TOWER, **_MEL},
        text_config={**TINY, "model_type": "qwen2", "num_key_value_heads": 2, "vocab_size": 64,
                     "num_hidden_layers": 1},
        audio_token_index=60,
    )  # fmt: skip


def wave_config(name: str) -> Any:
    """One of the wav2vec 2.0 family."""
    import transformers

    return getattr(transformers, f"{name}Config")(**{**TINY, **CONV, **WAVE[name]})


def save_family(family: str, folder: Path) -> Path:
    """Save a small random model of a family; returns its folder."""
    import transformers

    if family == "remote":
        return save_remote(folder)
    made = {
        "Whisper": ("WhisperForConditionalGeneration", whisper_config),
        "Wav2Vec2Bert": ("Wav2Vec2BertModel", bert_config),
        "Qwen2Audio": ("Qwen2AudioForConditionalGeneration", qwen_config),
    }
    name, config = made.get(family, (f"{family}Model", lambda: wave_config(family)))
    torch.manual_seed(1)
    getattr(transformers, name)(config()).save_pretrained(folder)
    return folder


def save_remote(folder: Path) -> Path:
    """Save a model that brings its own code and feature extractor."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    (folder / "modeling_odd.py").write_text(DASHENG_LIKE)
    (folder / "feature_extraction_odd.py").write_text(_EXTRACTOR)
    classes = {"AutoConfig": "modeling_odd.OddConfig", "AutoModel": "modeling_odd.OddModel"}
    config = {"model_type": "odd-audio", "auto_map": classes}
    (folder / "config.json").write_text(json.dumps(config))
    extractor = {
        "feature_extractor_type": "OddExtractor",
        "auto_map": {"AutoFeatureExtractor": "feature_extraction_odd.OddExtractor"},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    weights = {"layer.weight": torch.ones(6, 160) / 160, "layer.bias": torch.zeros(6)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


_PADDING = '''
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput


class PaddingConfig(PretrainedConfig):
    model_type = "padding-audio"


class PaddingModel(PreTrainedModel):
    """One frame of two mel frames, padding and all: its extractor pads to 30 s."""

    config_class = PaddingConfig

    def __init__(self, config):
        super().__init__(config)
        self.p = torch.nn.Linear(80, 16)
        self.post_init()

    def forward(self, given, attention_mask=None, output_hidden_states=False):
        mel = MEL
        frames = self.p(mel.transpose(1, 2))[:, ::2]
        states = (frames, frames) if output_hidden_states else None
        return BaseModelOutput(last_hidden_state=frames, hidden_states=states)
'''


def save_padding_remote(folder: Path, *, takes_samples: bool = False) -> Path:
    """Save a model with code of its own behind Whisper's feature extractor, or behind none."""
    import transformers
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    mel = "given[:, : given.shape[1] // 160 * 160].unflatten(1, (-1, 160))[..., :80].mT"
    source = _PADDING.replace("MEL", mel if takes_samples else "given")
    (folder / "modeling_padding.py").write_text(source)
    classes = {
        "AutoConfig": "modeling_padding.PaddingConfig",
        "AutoModel": "modeling_padding.PaddingModel",
    }
    (folder / "config.json").write_text(
        json.dumps({"model_type": "padding-audio", "auto_map": classes})
    )
    torch.manual_seed(1)
    weights = {"p.weight": torch.randn(16, 80), "p.bias": torch.randn(16)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    transformers.WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    return folder
