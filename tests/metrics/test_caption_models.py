import json

import pytest
import torch

from auricle.errors import ScoringError
from auricle.files import sha256_file
from auricle.metrics.caption_models import (
    load_caption_models,
    load_detector,
    load_sentence_model,
    require_given_models,
)
from auricle.metrics.compute import compute_metric
from auricle.metrics.result import MetricOptions


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("AURICLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_a_metric_loads_its_models_from_paths(sentence_model, detector_checkpoint):
    options = MetricOptions(
        sentence_model=str(sentence_model), fluency_detector=str(detector_checkpoint)
    )
    # Case 84 of the reference's cases.
    result = compute_metric("FENSE", ["a dog barks"], [["a dog is barking"]], options=options)
    assert result.raw == 0.9198
    models = result.detail["models"]
    assert models["fluency_detector_sha256"] == sha256_file(detector_checkpoint)


def test_a_checkpoint_is_converted_once_to_a_folder(detector_checkpoint, tmp_path):
    load_detector(str(detector_checkpoint))
    (folder,) = (tmp_path / "home" / "models").iterdir()
    facts = json.loads((folder / "detector.json").read_text())
    assert facts["sha256"] == sha256_file(detector_checkpoint)
    before = (folder / "model.safetensors").stat().st_mtime_ns
    load_detector(str(detector_checkpoint))
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    assert load_detector(str(folder)).sha256 == facts["sha256"]


def test_a_missing_sentence_folder_is_named(tmp_path):
    with pytest.raises(ScoringError, match=r"sentence model '.*' is no folder\. Give --sentence"):
        load_sentence_model(str(tmp_path / "nowhere"))


def test_an_incomplete_sentence_folder_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ScoringError, match=r"lacks model\.safetensors, tokenizer\.json or vocab"):
        load_sentence_model(str(tmp_path))


def test_a_sentence_model_that_pools_otherwise_is_refused(sentence_model, tmp_path):
    for file in sentence_model.iterdir():
        if file.is_file():
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": false}')
    with pytest.raises(ScoringError, match="does not pool by the mean"):
        load_sentence_model(str(tmp_path))


def test_without_a_network_the_official_model_is_a_clear_sentence():
    with pytest.raises(ScoringError, match="could not be fetched from the Hugging Face hub"):
        load_caption_models(MetricOptions())


def test_what_is_given_is_looked_for_and_nothing_is_fetched(sentence_model, tmp_path):
    require_given_models(MetricOptions())
    require_given_models(MetricOptions(sentence_model="someone/a-model"))
    require_given_models(MetricOptions(sentence_model=str(sentence_model)))
    with pytest.raises(ScoringError, match="'/nowhere' is no folder"):
        require_given_models(MetricOptions(sentence_model="/nowhere"))
    with pytest.raises(ScoringError, match=r"lacks config\.json"):
        require_given_models(MetricOptions(sentence_model=str(tmp_path)))
    with pytest.raises(ScoringError, match="no fluency detector at 'nowhere'"):
        require_given_models(MetricOptions(fluency_detector="nowhere"))


def test_a_missing_detector_is_named():
    with pytest.raises(ScoringError, match=r"no fluency detector at 'nowhere\.ckpt'"):
        load_detector("nowhere.ckpt")


def test_a_folder_that_is_no_detector_is_named(tmp_path):
    with pytest.raises(ScoringError, match=r"lacks detector\.json"):
        load_detector(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 truncated"])
def test_a_damaged_checkpoint_is_named(content, tmp_path):
    path = tmp_path / "detector.ckpt"
    path.write_bytes(content)
    with pytest.raises(ScoringError, match="is no fluency detector as published"):
        load_detector(str(path))


def test_a_truncated_checkpoint_is_named(detector_checkpoint, tmp_path):
    path = tmp_path / "detector.ckpt"
    path.write_bytes(detector_checkpoint.read_bytes()[:100_000])
    with pytest.raises(ScoringError, match="is no fluency detector as published"):
        load_detector(str(path))


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    path = tmp_path / "detector.ckpt"
    torch.save({"model_type": "x", "num_classes": 6, "state_dict": Evil()}, path)
    with pytest.raises(ScoringError, match="is no fluency detector as published"):
        load_detector(str(path))


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = tmp_path / "detector.ckpt"
    torch.save({"weights": torch.zeros(2)}, path)
    with pytest.raises(ScoringError, match="is no fluency detector as published"):
        load_detector(str(path))
