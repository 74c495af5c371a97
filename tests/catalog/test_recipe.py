"""Recipes: overriding by name, and what a run may call itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from auricle.catalog import load
from auricle.catalog.load import base_recipe, get_recipe, get_suite, list_recipes
from auricle.catalog.recipe import apply_settings, is_official, mode_of, setting_names
from auricle.errors import UnknownNameError, UserError
from auricle.records.manifest import RECIPE_VERSIONS


def test_a_setting_replaces_one_field_by_name() -> None:
    mini = get_recipe("mini")
    changed = apply_settings(mini, ["train.steps=500", "train.lr=1e-3", "features.dtype=float16"])
    assert (changed.train.steps, changed.train.lr) == (500, 0.001)
    assert changed.features.dtype == "float16"
    assert changed.model_copy(update={"train": mini.train, "features": mini.features}) == mini


def test_null_removes_a_part_and_braces_give_it_whole() -> None:
    official = get_recipe("official")
    assert apply_settings(official, ["lora=null"]).lora is None
    lora = apply_settings(
        get_recipe("mini"), ["lora={rank: 4, alpha: 8, dropout: 0}", "train.train_decoder=false"]
    ).lora
    assert lora is not None
    assert lora.rank == 4


def test_every_recipe_field_of_the_design_can_be_set() -> None:
    assert {
        *("decoder", "lora.rank", "lora.alpha", "lora.dropout", "train.steps", "train.batch_size"),
        *("train.lr", "train.warmup", "train.weight_decay", "train.max_grad_norm"),
        *("train.train_decoder", "features.dtype", "features.concat", "crop.length_s"),
        *("crop.grid_s", "answer.max_new_tokens", "answer.repetition_penalty", "precision"),
    } <= set(setting_names())
    assert "name" not in setting_names()


def test_an_unknown_field_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"'train.step'. Nearest: .*train.steps"):
        apply_settings(get_recipe("mini"), ["train.step=5"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.steps", "--set train.steps: expected name=value"),
        ("train.steps=yes", "train.steps is 'yes': expected a valid integer"),
        ("train.steps=0", "train.steps is '0': expected greater than or equal to 1"),
        ("train.steps=2.5", "train.steps is '2.5': expected a valid integer"),
        ("train.lr=fast", "train.lr is 'fast': expected a valid number"),
        ("train.lr=inf", "train.lr is 'inf': expected a"),
        ("train.batch_size=48", "train.batch_size is '48': expected a divisor of 128"),
        ("precision=bf32", "precision is 'bf32': expected 'float32' or 'bf16'"),
        ("decoder=[1", "--set decoder=\\[1"),
        ("decoder=some/model", "decoder_config describes the decoder 'mini' and no other"),
        ("lora.rank=4", "this recipe has no lora. Give it whole"),
        ("lora={rank: 4, alpha: 8, dropout: 0}", "exclude each other"),
    ],
)
def test_a_wrong_value_is_one_sentence(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        apply_settings(get_recipe("mini"), [setting])


def test_a_part_that_only_mini_has_is_refused_elsewhere() -> None:
    with pytest.raises(UserError, match="no decoder_config; only the recipe 'mini' has"):
        apply_settings(get_recipe("official"), ["decoder_config.hidden_size=64"])


def test_an_unchanged_recipe_is_reference_or_fast_and_any_other_custom() -> None:
    base = base_recipe(get_suite("cremad"))
    assert mode_of(base, base) == "reference"
    assert mode_of(apply_settings(base, ["precision=bf16"]), base) == "fast"
    assert mode_of(apply_settings(base, ["train.steps=999"]), base) == "custom"
    assert mode_of(apply_settings(base, ["train.steps=1000"]), base) == "reference"


def test_only_official_suites_in_an_unchanged_recipe_are_official() -> None:
    for name in ("track-a", "track-b", "all", "esc-50"):
        assert is_official(get_suite(name), "reference")
        assert is_official(get_suite(name), "fast")
        assert not is_official(get_suite(name), "custom")
    assert not is_official(get_suite("synth-keyword"), "reference")
    assert not is_official(get_suite("smoke"), "reference")


def as_written(name: str) -> dict[str, object]:
    text = (Path(load.__file__).parent / "recipes" / f"{name}.yaml").read_text("utf-8")
    value: dict[str, object] = yaml.safe_load(text)
    return value


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_is_hashed_as_its_file_is_written(name: str) -> None:
    assert get_recipe(name).to_json() == as_written(name)


def test_recipes_from_before_there_were_versions_keep_their_hash() -> None:
    assert not {"version", "audio"} & as_written("mini").keys()
    smoke = base_recipe(get_suite("smoke")).to_json()
    assert smoke.keys() == as_written("mini").keys()
    spelt = apply_settings(get_recipe("mini"), ["audio.resampler=soxr"])
    assert spelt.to_json() == as_written("mini")
    other = apply_settings(get_recipe("mini"), ["audio.resampler=sinc-hann"])
    assert other.to_json() == {**as_written("mini"), "audio": {"resampler": "sinc-hann"}}


def test_the_versions_of_the_catalogs_recipes_are_those_that_count() -> None:
    found = {name: get_recipe(name).version for name in list_recipes()}
    assert {name: version for name, version in found.items() if version != 1} == RECIPE_VERSIONS
    assert get_recipe("official").label == "official-2"
    assert get_recipe("official").audio.resampler == "sinc-hann"


def test_the_official_recipe_with_another_resampler_is_custom() -> None:
    official = get_recipe("official")
    assert mode_of(apply_settings(official, ["audio.resampler=soxr"]), official) == "custom"
    with pytest.raises(UserError, match="is 'linear': expected 'soxr' or 'sinc-hann'"):
        apply_settings(official, ["audio.resampler=linear"])
    with pytest.raises(UnknownNameError, match="version"):
        apply_settings(official, ["version=1"])
