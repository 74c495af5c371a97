"""Official tasks on stand-in shards, from nothing to a report, with the commands a user types.

The whole of both tracks is `make evidence-rehearsal`; here are four tasks, one of each kind of
label and metric, and a tiny decoder.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from auricle.catalog.files import load_suite_file
from auricle.catalog.load import get_suite
from evidence.rehearsal import User, rehearse
from local_hub import LocalHub
from stand_in import STAND_INS, TINY, publish, texts_of, write_caption_models, write_decoder

SUITE = """
name: some
recipe: official
tasks: {cremad: 1, gtzan: 1, songdescriber: 1, mecat: 3}
"""


@pytest.mark.slow
def test_official_tasks_go_from_the_hub_to_a_report(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text(SUITE)
    tasks = load_suite_file(file).tasks
    files = publish(tasks)
    texts = texts_of(files)
    decoder = write_decoder(tmp_path / "decoder", TINY, texts)
    sentence, detector = write_caption_models(tmp_path / "captions", texts)
    with LocalHub(files).running() as hub:
        user = User(tmp_path / "user", hub.url)
        rehearse(
            str(file),
            user,
            [
                *("--set", f"decoder={decoder}", "--set", "train.steps=5"),
                *("--set", "answer.max_new_tokens=8"),
            ],
            models=["--sentence-model", sentence, "--fluency-detector", detector],
            names=[task.name for task in tasks],
        )
    assert user.problems == []


def test_every_official_task_has_a_stand_in() -> None:
    names = {name for suite in ("track-a", "track-b") for name in get_suite(suite).tasks}
    assert set(STAND_INS) == names
