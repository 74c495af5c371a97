"""Folders of models that lack something, or hold something else: refused, noted, never made up."""

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from auricle.cli.tables import print_check
from auricle.encoder.checks import check_encoder
from auricle.encoder.host import EncoderProcess, probe_audio
from auricle.encoder.load import WRAPPERS, parse_encoder
from auricle.errors import EncoderLoadError
from hf_models import save_family, save_padding_remote, save_remote

pytestmark = pytest.mark.slow  # transformers is imported

Weights = dict[str, torch.Tensor]
Load = Callable[..., Any]


@pytest.fixture(scope="module")
def load() -> Iterator[Load]:
    """Make the wrapper's encoder here, as the encoder's process does it there."""
    sys.path.insert(0, str(WRAPPERS))
    before = set(sys.modules)
    module = importlib.import_module("hf")
    try:
        yield module.HuggingFaceEncoder
    finally:
        sys.path.remove(str(WRAPPERS))
        for name in {"hf", "hf_families", "hf_frontend", "hf_loading", "logmel"} - before:
            sys.modules.pop(name, None)


def features_of(encoder: Any, window: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        features, mask = encoder(
            torch.from_numpy(window)[None], torch.ones(1, len(window), dtype=torch.int32)
        )
    assert mask.all()
    return features[0].numpy()


@pytest.fixture
def hubert(tmp_path: Path) -> Path:
    return save_family("Hubert", tmp_path / "model")


def change(folder: Path, how: Callable[[Weights], Weights]) -> None:
    path = folder / "model.safetensors"
    save_file(how(load_file(path)), path, metadata={"format": "pt"})


def without(part: str) -> Callable[[Weights], Weights]:
    return lambda weights: {k: v for k, v in weights.items() if part not in k}


@pytest.mark.parametrize(
    ("family", "part", "named"),
    [
        ("Hubert", "encoder.layers.1.", r"lacks 16 weights .*: encoder\.layers\.1\.\* \(16\)\."),
        ("Hubert", "feature_projection.projection.bias", r"lacks 1 weight .*projection\.bias\."),
        ("Whisper", "encoder.layers.0.fc1", r"lacks 2 weights .*encoder\.layers\.0\.\* \(2\)"),
        ("Wav2Vec2Bert", "encoder.layers.1.conv_module", r"encoder\.layers\.1\.\*"),
        ("Qwen2Audio", "audio_tower.conv1.bias", r"lacks 1 weight .*: conv1\.bias\. It holds"),
    ],
)
def test_a_weight_that_the_features_use_must_be_there(
    load: Load, tmp_path: Path, family: str, part: str, named: str
) -> None:
    folder = save_family(family, tmp_path / "model")
    change(folder, without(part))
    with pytest.raises(ValueError, match=named) as caught:
        load(str(folder))
    assert "they would be random" in str(caught.value)
    assert caught.value.says_all  # type: ignore[attr-defined]


def test_weights_that_no_feature_uses_may_be_missing(load: Load, tmp_path: Path) -> None:
    folder = save_family("Whisper", tmp_path / "model")
    whole = load(str(folder))
    audio = probe_audio(1, 8_000)
    expected = features_of(whole, audio)
    change(folder, without("decoder."))
    process = load(str(folder))
    assert np.array_equal(features_of(process, audio), expected)
    (note,) = (note for note in process.loading_notes if "lacks" in note)
    assert re.search(r"lacks \d+ weights, which the features do not use: decoder\.", note)


def test_the_last_layer_may_be_missing_where_an_earlier_one_is_asked(
    load: Load, hubert: Path
) -> None:
    change(hubert, without("encoder.layers.1."))
    process = load(str(hubert), layer=1)
    assert any("encoder.layers.1.* (16)" in note for note in process.loading_notes)


def test_a_weight_of_another_shape_is_refused_by_name(load: Load, hubert: Path) -> None:
    config = json.loads((hubert / "config.json").read_text())
    (hubert / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(
        ValueError,
        match=r"do not fit its config\.json: encoder\.layers\.0\.feed_forward"
        r"\.intermediate_dense\.bias is \[32\] there, \[48\] here; .*and 1 more",
    ):
        load(str(hubert))


def test_weights_under_other_names_are_told_beside_those_that_lack(
    load: Load, hubert: Path
) -> None:
    change(hubert, lambda w: {k.replace(".layers.1.", ".blocks.1."): v for k, v in w.items()})
    with pytest.raises(ValueError, match=r"no place for \(encoder\.blocks\.1\.\* \(16\)\)"):
        load(str(hubert))


def test_weights_without_a_place_are_noted(load: Load, hubert: Path) -> None:
    change(hubert, lambda w: {**w, "lm_head.weight": torch.zeros(3, 16)})
    notes = load(str(hubert)).loading_notes
    assert any("holds 1 weight that this model has no place for: lm_head" in n for n in notes)


def test_a_model_of_its_own_code_is_held_to_the_same(load: Load, tmp_path: Path) -> None:
    folder = save_remote(tmp_path / "odd")
    change(folder, without("layer.bias"))
    with pytest.raises(ValueError, match=r"lacks 1 weight .*: layer\.bias\."):
        remote(load, folder)


def spoil_pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    )


def spoil_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoil_pointer, r"is the pointer that Git LFS left, not the file"),
        (spoil_weights, r"cannot be loaded \(SafetensorError: .*\)\. Save the model"),
        (lambda f: (f / "config.json").write_text("[1]"), r"cannot be loaded \("),
        (lambda f: (f / "config.json").write_text("{"), r"cannot be loaded \("),
    ],
)
def test_damaged_files_are_one_sentence(
    load: Load, hubert: Path, spoil: Callable[[Path], Any], told: str
) -> None:
    spoil(hubert)
    with pytest.raises(ValueError, match=told) as caught:
        load(str(hubert))
    assert caught.value.says_all  # type: ignore[attr-defined]


NAMES = ("preprocessor_config.json", "processor_config.json")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["{", "[1]", "", "\udcff"])
def test_a_damaged_preprocessor_configuration_is_not_an_absent_one(
    load: Load, hubert: Path, name: str, text: str
) -> None:
    (hubert / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=rf"{name} of .* cannot be read \(.*remove it if"):
        load(str(hubert))


def test_a_preprocessor_configuration_that_is_no_file_is_told(load: Load, hubert: Path) -> None:
    (hubert / NAMES[0]).symlink_to(hubert / "nowhere")
    with pytest.raises(ValueError, match=r"cannot be read \(it is no file\)"):
        load(str(hubert))


@pytest.mark.parametrize(
    ("family", "settings", "told"),
    [
        ("Hubert", {"do_normalize": "yes"}, r"do_normalize of .* is \"yes\"; true or false is"),
        ("Whisper", {"hop_length": 320}, r"has hop_length 320; known here is 160"),
        ("Whisper", {"feature_size": 128}, r"has feature_size 128; known here is 80"),
        ("Whisper", {"sampling_rate": 24_000}, r"was trained on audio at 24000 Hz"),
        ("Wav2Vec2Bert", {"stride": 4}, r"has stride 4; known here is 2"),
    ],
)
def test_preprocessing_that_is_not_known_is_refused(
    load: Load, tmp_path: Path, family: str, settings: dict[str, Any], told: str
) -> None:
    folder = save_family(family, tmp_path / "model")
    (folder / NAMES[0]).write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=told):
        load(str(folder))


def test_what_a_missing_configuration_leaves_open_is_noted_and_can_be_set(
    load: Load, hubert: Path
) -> None:
    loud = probe_audio(1, 16_000) * 3
    process = load(str(hubert))
    assert process.loading_notes == [
        "There is no preprocessor_config.json, so this was assumed: do_normalize true, "
        "sampling_rate 16000. If it should be otherwise, give --encoder-args "
        '\'{"preprocessor": {"do_normalize": false}}\'.'
    ]
    assumed = features_of(process, loud)
    given = load(str(hubert), preprocessor={"do_normalize": False})
    plain = features_of(given, loud)
    assert not np.allclose(plain, assumed, rtol=0.01)
    (hubert / NAMES[0]).write_text('{"do_normalize": false, "sampling_rate": 16000}')
    stated = load(str(hubert))
    assert stated.loading_notes == []
    assert np.array_equal(features_of(stated, loud), plain)
    (hubert / NAMES[0]).unlink()
    (hubert / NAMES[1]).write_text('{"feature_extractor": {"do_normalize": false}}')
    nested = load(str(hubert))
    assert np.array_equal(features_of(nested, loud), plain)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"do_normalise": False}, r"names 'do_normalise'; .* can name do_normalize, sampling_rate"),
        (False, r"models with code of their own alone understand"),
        ("none", r'preprocessor is "none"; an object is expected'),
        ({"sampling_rate": 8_000}, r"was trained on audio at 8000 Hz"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(
    load: Load, hubert: Path, value: Any, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        load(str(hubert), preprocessor=value)


def test_notes_are_told_by_check_and_kept_in_a_run(
    hubert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = check_encoder(parse_encoder(str(hubert)), time_limit_s=90)
    assert report.passed
    assert "this was assumed: do_normalize true" in report.to_json()["notes"][0]
    print_check(report)
    assert "Note: There is no preprocessor_config.json" in capsys.readouterr().out
    hashes = []
    for given in (None, {"preprocessor": {"do_normalize": False}}):
        spec = parse_encoder(str(hubert), arguments=given)
        with EncoderProcess(spec, log_path=tmp_path / "log") as process:
            assert ("do_normalize true" in str(process.info.notes)) is (given is None)
            hashes.append(process.info.content_hash)
    assert hashes[0] != hashes[1]
    change(hubert, without("encoder.layers.1."))
    with (
        pytest.raises(EncoderLoadError, match=r"lacks 16 weights") as caught,
        EncoderProcess(spec, log_path=tmp_path / "log"),
    ):
        pass
    assert caught.value.quoted == ""


def remote(load: Load, folder: Path, **arguments: Any) -> Any:
    return load(str(folder), trust_remote_code=True, **arguments)


def test_frames_of_an_extractors_padding_do_not_count(load: Load, tmp_path: Path) -> None:
    folder = save_padding_remote(tmp_path / "m")
    lengths = {1_600: 5, 16_000: 50, 30_411: 96, 480_000: 1_500}  # 320 samples a frame, rounded up
    process = remote(load, folder)
    for length, frames in lengths.items():
        encoded = features_of(process, probe_audio(1, length))
        assert abs(len(encoded) - frames) <= 1, length
    # Whisper's extractor cuts off what is behind 30 s: longer windows go in pieces.
    assert len(features_of(process, probe_audio(1, 640_000))) == 2_000
    process = remote(load, folder, layer=1)
    assert len(features_of(process, probe_audio(1, 1_600))) == 5


def test_features_of_padded_frames_are_the_windows_own(load: Load, tmp_path: Path) -> None:
    import transformers

    folder = save_padding_remote(tmp_path / "m")
    window = probe_audio(1, 16_000)
    extractor = transformers.WhisperFeatureExtractor(feature_size=80)
    mel = extractor(window, sampling_rate=16_000, return_tensors="pt").input_features
    weights = load_file(folder / "model.safetensors")
    expected = mel.transpose(1, 2) @ weights["p.weight"].T + weights["p.bias"]
    process = remote(load, folder)
    frames = features_of(process, window)
    assert np.allclose(frames, expected[0, :100:2].numpy(), atol=1e-5)


def test_a_model_of_its_own_code_may_have_no_extractor(load: Load, tmp_path: Path) -> None:
    folder = save_padding_remote(tmp_path / "m", takes_samples=True)
    (folder / NAMES[0]).unlink()
    process = remote(load, folder)
    assert process.loading_notes == [
        "There is no preprocessor_config.json, so the model is given samples at 16000 Hz."
    ]
    samples = features_of(process, probe_audio(1, 16_000))
    (folder / NAMES[0]).write_text('{"feature_extractor_type": "NoSuchExtractor"}')
    with pytest.raises(
        ValueError, match=r"feature extractor of .* cannot be made .*\"preprocessor\": false"
    ):
        remote(load, folder)
    process = remote(load, folder, preprocessor=False)
    again = features_of(process, probe_audio(1, 16_000))
    assert np.array_equal(samples, again)


def test_settings_of_a_models_own_extractor_can_be_set(load: Load, tmp_path: Path) -> None:
    folder = save_padding_remote(tmp_path / "m")
    window = probe_audio(1, 16_000)
    assert len(features_of(remote(load, folder), window)) == 50
    wider = remote(load, folder, preprocessor={"hop_length": 320})
    assert len(features_of(wider, window)) == 25
    with pytest.raises(ValueError, match=r"names 'hop', which the feature extractor"):
        remote(load, folder, preprocessor={"hop": 320})
