"""A tiny Llama on disk, a tokenizer for it, and recipes that name it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lalm_material import WORDS, Folder, Material

from auricle.catalog.recipe import Recipe
from auricle.lalm.tokens import Tokens, train_tokenizer


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    # Tiny products gain nothing from a second thread, and lose much where the cores are busy.
    torch.set_num_threads(1)


@pytest.fixture
def material() -> Material:
    return Material()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    texts = [f"{a} {b}" for a in WORDS for b in WORDS] + ["Name it.", "What do you hear here?"]
    return train_tokenizer(
        texts, vocab_size=300, folder=tmp_path_factory.mktemp("tokens") / "tokenizer"
    )


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory, tokens: Tokens) -> str:
    """Folder of a randomly initialised Llama: 3 blocks, 4 heads, 2 key heads, tied embeddings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=tokens.eos_id,
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        model = LlamaForCausalLM(config)
    path = tmp_path_factory.mktemp("llama") / "model"
    model.save_pretrained(path)
    return str(path)


@pytest.fixture
def make_recipe(tiny_llama: str) -> Callable[..., Recipe]:
    """The official recipe around the tiny Llama; fields are changed by dotted name."""

    def make(**changes: Any) -> Recipe:
        data: dict[str, Any] = {
            "name": "test",
            "decoder": tiny_llama,
            "decoder_config": None,
            "lora": {"rank": 8, "alpha": 32.0, "dropout": 0.0},
            "train": {
                "steps": 20,
                "batch_size": 4,
                "lr": 1e-3,
                "warmup": 5,
                "weight_decay": 0.01,
                "max_grad_norm": 1.0,
                "train_decoder": False,
            },
            "features": {"dtype": None, "concat": 1},
            "crop": {"length_s": 30.0, "grid_s": 5.0},
            "answer": {"max_new_tokens": 12, "repetition_penalty": 1.05},
            "precision": "float32",
        }
        for name, value in changes.items():
            *groups, last = name.split("__")
            part = data
            for group in groups:
                part = part[group]
            part[last] = value
        return Recipe.model_validate(data)

    return make
