"""Further evaluations through the command line: reused, apart, XARES-LLM's files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import LlamaConfig, LlamaForCausalLM

from auricle.board.from_runs import read_run
from auricle.errors import UserError
from auricle.job import RunOptions, resolve
from auricle.lalm.tokens import train_tokenizer
from auricle.stages.further import resolve_evaluations
from commands import auricle
from making import PITCH, audio_bytes, tone, write_suite, write_tar

TINY = [
    word
    for setting in (
        *("train.steps=12", "train.batch_size=8", "train.warmup=2", "answer.max_new_tokens=4"),
        *("decoder_config.hidden_size=32", "decoder_config.intermediate_size=64"),
        "decoder_config.vocab_size=280",
    )
    for word in ("--set", setting)
]
TWO_TOKENS = "answer.max_new_tokens=2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, clips in (("train", 16), ("test", 6), ("secret", 5)):
        members = []
        for j in range(clips):
            audio = audio_bytes(tone(600 if j % 2 else 300, 0.5 + 0.01 * j))
            label = {"label": "high" if j % 2 else "low"}
            members += [(f"{name}{j:02d}.flac", audio)]
            members += [(f"{name}{j:02d}.json", json.dumps(label).encode())]
        write_tar(tmp_path / f"{name}.tar", members)
    own = {**PITCH, "weight": 1, "train_shards": ["train.tar"], "test_shards": ["test.tar"]}
    write_suite(tmp_path, "pitch", {"pitch": own})
    return tmp_path


def secret(**more: Any) -> dict[str, Any]:
    return {**PITCH, "weight": 1, "test_shards": ["secret.tar"], **more}


@pytest.fixture
def measure(folder: Path) -> Callable[..., dict[str, Any]]:
    def run(*evaluations: Path, main: str = "pitch", settings: Any = TINY) -> dict[str, Any]:
        words = [word for path in evaluations for word in ("--eval", path)]
        done = auricle(
            *("run", "logmel", "--suite", folder / f"{main}.yaml", *words, *settings),
            *("--out", folder / "runs", "--json", "--quiet"),
            home=folder / "home",
        )
        value: dict[str, Any] = json.loads(done.stdout)
        return value

    return run


def test_hidden_tasks_are_answered_by_a_finished_run_or_trained_apart(
    folder: Path, measure: Callable[..., dict[str, Any]]
) -> None:
    reuse = write_suite(folder, "hidden-b", {"Secret": secret()}, training="reuse")
    first = measure(reuse)
    run = Path(first["run"])
    trained = {p.name: p.stat().st_mtime_ns for p in (run / "checkpoints").iterdir()}
    answers = run / "further" / "hidden-b" / "predictions" / "Secret.jsonl"
    ids = [json.loads(line)["id"] for line in answers.read_text().splitlines()]
    assert ids == [f"secret/secret{j:02d}" for j in range(5)]
    scores = json.loads((run / "scores" / "hidden-b.json").read_text())
    assert first["further"] == {"hidden-b": scores}
    assert (scores["training"], scores["official"]) == ("reuse", False)
    assert scores["runs"] == {"Secret": f"pitch/{run.name}"}
    assert scores["tasks"]["Secret"]["clips_scored"] == 5

    # A second evaluation of the finished run, and another question in the first.
    before = answers.read_bytes()
    stamp = answers.stat().st_mtime_ns
    shown = (run / "predictions" / "pitch.jsonl").stat().st_mtime_ns
    apart = write_suite(folder, "hidden-a", {"Own": secret(train_shards=["train.tar"])})
    second = measure(reuse, apart)
    assert second["run"] == first["run"]
    assert answers.read_bytes() == before
    assert answers.stat().st_mtime_ns == stamp
    assert (run / "predictions" / "pitch.jsonl").stat().st_mtime_ns == shown
    assert {p.name: p.stat().st_mtime_ns for p in (run / "checkpoints").iterdir()} == trained
    found = second["further"]["hidden-a"]
    (own,) = (folder / "runs" / "Own").iterdir()
    assert (found["training"], found["runs"]) == ("apart", {"Own": f"Own/{own.name}"})
    copied = run / "further" / "hidden-a" / "predictions" / "Own.jsonl"
    assert copied.read_bytes() == (own / "predictions" / "Own.jsonl").read_bytes()
    assert (own / "checkpoints" / "final.safetensors").is_file()

    page = (run / "report.html").read_text()
    assert "Asked further" in page
    assert f"Own/{own.name}" in page.replace("<wbr>", "")
    assert (run / "further" / "hidden-b" / "report.html").stat().st_size > 5_000
    for file in (run / "scores").iterdir():
        file.unlink()
    again = auricle("score", run, "--json", home=folder / "home")
    assert json.loads(again.stdout)["further"] == second["further"]
    shown_text = auricle("score", run, home=folder / "home").stdout
    assert "on hidden-a" in shown_text
    assert "on hidden-b" in shown_text

    with_secrets = read_run(run, released=True)[0].results[0]
    assert {"Secret", "Own", "pitch"} <= set(with_secrets.cells)


def test_changed_questions_are_answered_anew(
    folder: Path, measure: Callable[..., dict[str, Any]]
) -> None:
    path = write_suite(folder, "hidden-b", {"Secret": secret()}, training="reuse")
    run = Path(measure(path)["run"])
    answers = run / "further" / "hidden-b" / "predictions" / "Secret.jsonl"
    assert len(answers.read_text().splitlines()) == 5
    write_suite(folder, "hidden-b", {"Secret": secret(test_shards=["test.tar"])}, training="reuse")
    again = measure(path)
    assert again["further"]["hidden-b"]["tasks"]["Secret"]["clips_scored"] == 6
    assert '"id": "test/test00"' in answers.read_text()


def test_the_files_of_xares_llm_work_as_they_are(
    folder: Path, measure: Callable[..., dict[str, Any]]
) -> None:
    data = {"prompt": "Low or high?", "data": [str(folder / "train.tar")], "key": "label"}
    tokens = train_tokenizer(["Low or high?", "low", "high"], vocab_size=300, folder=folder / "llm")
    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        bos_token_id=None,
        eos_token_id=tokens.eos_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder / "llm")
    train = {
        "decoder_model_name": str(folder / "llm"),
        "max_steps": 6,
        "per_device_train_batch_size": 4,
        "save_steps": 5,
        "train_data": {"Pitch": data},
    }
    asked = {
        "data": {**data, "data": [str(folder / "test.tar")]},
        "metric": "accuracy",
        "batch_size": 4,
    }
    (folder / "train.yaml").write_text(yaml.safe_dump(train))
    (folder / "eval.yaml").write_text(yaml.safe_dump({"eval_pitch": asked}))
    found = measure(folder / "eval.yaml", main="train", settings=("--set", TWO_TOKENS))
    assert found["scores"]["tasks"] == {}
    scores = found["further"]["eval"]
    assert scores["training"] == "reuse"
    assert scores["tasks"]["eval_pitch"]["clips_scored"] == 6
    manifest = json.loads((Path(found["run"]) / "manifest.json").read_text())
    assert manifest["recipe"]["train"]["steps"] == 6
    options = RunOptions(evaluations=(str(folder / "eval.yaml"),))
    job = resolve("logmel", str(folder / "train.yaml"), options)
    named = [*job.ignored, *resolve_evaluations(job)[0].jobs[0].ignored]
    assert any(reason.startswith("save_steps") for reason in named)
    assert any(reason.startswith("batch_size") for reason in named)


def resolved(folder: Path, *evaluations: Path) -> Any:
    options = RunOptions(evaluations=tuple(map(str, evaluations)))
    return resolve_evaluations(resolve("logmel", str(folder / "pitch.yaml"), options))


def test_apart_is_ten_thousand_steps_unless_the_file_says_otherwise(folder: Path) -> None:
    trained = secret(train_shards=["train.tar"])
    tasks = {"One": trained, "Two": {**trained, "steps": 700}}
    (found,) = resolved(folder, write_suite(folder, "hidden-a", tasks))
    assert [job.recipe.train.steps for job in found.jobs] == [10_000, 700]
    assert found.training == "apart"
    path = write_suite(folder, "hidden-a", {"One": trained}, training="reuse")
    (found,) = resolved(folder, path)
    assert [task.train_shards for job in found.jobs for task in job.tasks] == [[]]


def test_what_cannot_be_asked_is_refused_in_a_sentence(folder: Path) -> None:
    mixed = {"One": secret(train_shards=["train.tar"]), "Two": secret()}
    with pytest.raises(UserError, match="trained apart, but Two have no train_shards"):
        resolved(folder, write_suite(folder, "mixed", mixed))
    silent = {"One": {"prompt": "?", "train_shards": ["train.tar"]}}
    with pytest.raises(UserError, match="nothing to ask in One"):
        resolved(folder, write_suite(folder, "silent", silent))
    path = write_suite(folder, "hidden-b", {"Secret": secret()})
    with pytest.raises(UserError, match=f"'hidden-b' is measured already, by --eval {path}. Leave"):
        resolved(folder, path, path)
    with pytest.raises(UserError, match="holds training clips out"):
        held = {"One": secret(train_shards=["train.tar"])}
        resolved(folder, write_suite(folder, "held", held, held_out={}))
