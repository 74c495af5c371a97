"""The tokenizer that the mini recipe makes, and the ones that decoders bring."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from auricle.errors import CatalogError
from auricle.lalm.tokens import load_tokenizer, train_tokenizer

TEXTS = ["seven dogs bark", "a bell rings twice", "你好 世界", "what is the word?"] * 20


@pytest.mark.parametrize(
    "text", ["seven dogs", "naïve café", "你好世界", "🙂", "tab\tand\nline", "UPPER 1234"]
)
def test_any_text_comes_back(tokens, text):
    assert tokens.decode(tokens.encode(text)) == text
    assert tokens.eos_id not in tokens.encode(text)


def test_decoding_leaves_out_special_tokens_and_outer_space(tokens):
    ids = [tokens.eos_id, *tokens.encode("  a dog "), tokens.eos_id]
    assert tokens.decode(ids) == "a dog"
    assert tokens.decode([]) == ""


def test_encoding_adds_nothing_and_is_repeatable(tokens):
    first = tokens.encode("one two")
    first.append(0)
    assert tokens.encode("one two") == first[:-1]
    assert tokens.encode("") == []


def test_saved_tokenizer_loads_to_the_same_pieces(tmp_path):
    made = train_tokenizer(TEXTS, vocab_size=290, folder=tmp_path / "tokenizer")
    loaded = load_tokenizer(tmp_path / "tokenizer")
    assert len(made) == len(loaded) == 290
    assert made.eos_id == loaded.eos_id
    assert made.pad_id == loaded.pad_id == loaded.eos_id
    for text in TEXTS[:4]:
        assert made.encode(text) == loaded.encode(text)
    assert list(tmp_path.iterdir()) == [tmp_path / "tokenizer"]


def test_another_process_trains_the_same_bytes(tmp_path):
    code = (
        "import sys, pathlib; from auricle.lalm.tokens import train_tokenizer;"
        f"train_tokenizer({TEXTS!r}, vocab_size=290, folder=pathlib.Path(sys.argv[1]))"
    )
    for name, seed in (("a", "1"), ("b", "2")):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, tmp_path / name], check=True, env=environment)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_no_tokenizer_at_all_is_one_sentence(tmp_path):
    with pytest.raises(CatalogError, match=r"No tokenizer can be loaded from .*empty.*hub"):
        (tmp_path / "empty").mkdir()
        load_tokenizer(tmp_path / "empty")


def test_tokenizer_without_an_end_is_refused(tmp_path):
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    bare.save_pretrained(tmp_path / "bare")
    with pytest.raises(CatalogError, match="has no end-of-text token"):
        load_tokenizer(tmp_path / "bare")
