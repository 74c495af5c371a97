"""Stand-ins for what the official suites need from the network, all of it made here.

Shards under the published names and fields, one synthetic clip each, in the kinds of audio file
that datasets come in; a decoder of random weights with a small tokenizer; random caption models.
Nothing of it says how well an encoder hears: it shows that the whole job works on data laid out
like the real ones.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr

from auricle.catalog.spec import Task
from auricle.synth.clips import make_clip

RATE = 16_000
SMOL: dict[str, Any] = {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1_536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8_192,
    "rope_theta": 100_000.0,
    "tie_word_embeddings": True,
}
"""The shape of SmolLM2-135M."""
TINY: dict[str, Any] = SMOL | {
    "vocab_size": 512,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
}


class StandIn(NamedTuple):
    """How a task's clips are made: the synthetic task, its fields at train and test, the file."""

    kind: str
    train: Callable[[dict[str, Any]], dict[str, Any]]
    test: Callable[[dict[str, Any]], dict[str, Any]]
    suffix: str = "flac"
    rate: int = RATE
    channels: int = 1
    least_s: float = 0.0
    """A shorter clip is repeated to this length."""


def _label(name: str, kind: type = str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda fields: {name: kind(fields.get("label", fields.get("text")))}


def _first_caption(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda fields: {name: fields["captions"][0]}


def _captions(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda fields: {name: fields["captions"]}


_TEXT, _GENRE, _LABEL = _label("text"), _label("genre"), _label("label")
STAND_INS: dict[str, StandIn] = {
    "asvspoof2015": StandIn("synth-spoof", *[_label("binary_spoof")] * 2),
    "cremad": StandIn("synth-emotion", _LABEL, _LABEL, "wav"),
    "esc-50": StandIn("synth-environment", _LABEL, _LABEL, "ogg", 44_100),
    "fluentspeechcommands": StandIn("synth-intent", _TEXT, _TEXT, "wav"),
    "freemusicarchive": StandIn("synth-genre", _GENRE, _GENRE, "mp3", 44_100, 2, 30.0),
    "fsd50k": StandIn("synth-soundscape", _LABEL, _LABEL, "wav", 44_100),
    "fsdkaggle2018": StandIn("synth-events", _LABEL, _LABEL, "wav", 44_100),
    "gtzan": StandIn("synth-dance", _GENRE, _GENRE, "wav", 22_050, 1, 30.0),
    "libricount": StandIn("synth-speaker-count", *[_label("num_speakers", int)] * 2),
    "nsynth": StandIn("synth-instrument", *[_label("instrument_family_str")] * 2, "wav"),
    "speechcommandsv1": StandIn("synth-keyword", _TEXT, _TEXT, "wav"),
    "urbansound8k": StandIn("synth-urban", *[_label("soundevent")] * 2, "wav", 48_000, 2),
    "vocalsound": StandIn("synth-vocal-sound", _TEXT, _label("labels"), "wav"),
    "voxceleb1": StandIn("synth-same-speaker", _LABEL, _LABEL, "wav"),
    "voxlingua33": StandIn("synth-language", _LABEL, _LABEL),
    "aishell-1": StandIn("synth-tones", _TEXT, _TEXT, "wav"),
    "clotho": StandIn("synth-sound-caption", *[_captions("captions")] * 2, "wav", 44_100),
    "librispeech": StandIn("synth-sentences", *[_label("trans")] * 2),
    "mecat": StandIn("synth-caption", *[_captions("long")] * 2),
    "songdescriber": StandIn(
        *("synth-music-caption", _first_caption("caption"), _captions("captions")),
        *("mp3", 44_100, 2, 120.0),
    ),
}


def publish(tasks: Iterable[Task], *, clips: int = 1) -> dict[str, dict[str, bytes]]:
    """Packed shards of these tasks by repository and name, as `LocalHub` serves them."""
    files: dict[str, dict[str, bytes]] = {}
    for task in tasks:
        assert task.repository is not None
        shelf = files.setdefault(task.repository, {})
        for side in ("train", "test"):
            for number, name in enumerate(task.expanded_shards(side)):
                shelf[name] = _shard(task.name, side, range(number * clips, (number + 1) * clips))
    return files


def texts_of(files: dict[str, dict[str, bytes]]) -> list[str]:
    """Every text in the shards' JSON, for tokenizers to learn from."""
    found: dict[str, None] = {}
    for data in (shard for shelf in files.values() for shard in shelf.values()):
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    stream = tar.extractfile(member)
                    assert stream is not None
                    for value in json.load(stream).values():
                        found |= dict.fromkeys(
                            map(str, value if isinstance(value, list) else [value])
                        )
    return list(found)


def write_decoder(folder: Path, shape: dict[str, Any], texts: Sequence[str]) -> Path:
    """A Llama of random weights and a small tokenizer, saved as a user would have them."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from auricle.lalm.tokens import train_tokenizer

    tokens = train_tokenizer(texts, vocab_size=500, folder=folder)
    config = LlamaConfig(
        **shape, bos_token_id=tokens.eos_id, eos_token_id=tokens.eos_id, pad_token_id=tokens.eos_id
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def write_caption_models(folder: Path, texts: Sequence[str]) -> tuple[Path, Path]:
    """A sentence model's folder and a fluency detector's file, small and random.

    Returns:
        What --sentence-model and --fluency-detector take.
    """
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = sorted({word for text in texts for word in text.lower().split()})
    letters = sorted({sign for word in words for sign in word})
    # The ids of the padding, unknown and separator tokens are those of BERT's vocabulary.
    special = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
    names = [special.get(j, f"[unused{j}]") for j in range(104)]
    names += letters + [f"##{sign}" for sign in letters] + [w for w in words if len(w) > 1]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    config = BertConfig(
        vocab_size=len(names),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(2)
        model, head = BertModel(config), torch.nn.Linear(32, 6)
    model.save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    state = {f"encoder.{name}": value for name, value in model.state_dict().items()}
    state |= {f"clf.{name}": value.detach() for name, value in head.state_dict().items()}
    detector = folder / "detector.ckpt"
    torch.save({"model_type": str(folder), "num_classes": 6, "state_dict": state}, detector)
    return folder, detector


def _shard(task: str, side: str, clips: range) -> bytes:
    stand_in = STAND_INS[task]
    packed = io.BytesIO()
    # Deflated lightly: published shards are .tar.gz of audio that hardly shrinks.
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=packed, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for index in clips:
            clip = make_clip(stand_in.kind, split=side, index=index)
            fields = (stand_in.train if side == "train" else stand_in.test)(clip.fields)
            text = json.dumps(fields, ensure_ascii=False).encode()
            for suffix, data in ((stand_in.suffix, _audio(stand_in, clip.samples)), ("json", text)):
                member = tarfile.TarInfo(f"{task}_{side}_{index:05d}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _audio(stand_in: StandIn, samples: np.ndarray) -> bytes:
    wanted = round(stand_in.least_s * RATE)
    if len(samples) < wanted:
        samples = np.resize(samples, wanted)
    if stand_in.rate != RATE:
        samples = soxr.resample(samples, RATE, stand_in.rate, quality="HQ")
    if stand_in.channels > 1:
        samples = np.stack([samples] * stand_in.channels, axis=1)
    packed = io.BytesIO()
    # libsndfile's Vorbis encoder overflows its stack on long blocks.
    with soundfile.SoundFile(
        packed, "w", stand_in.rate, stand_in.channels, format=stand_in.suffix.upper()
    ) as stream:
        for start in range(0, len(samples), RATE):
            stream.write(samples[start : start + RATE])
    return packed.getvalue()
