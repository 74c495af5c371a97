"""Text to token numbers and back: the decoder's own tokenizer, or one trained on the run's texts.

The mini recipe has a decoder of its own, so it gets a vocabulary of its own: byte-level BPE, which
can spell any text, Han characters included, without an unknown token.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from auricle.errors import CatalogError
from auricle.files import building_folder, write_failure

EOS = "<|endoftext|>"


class Tokens:
    """A tokenizer as the LALM needs it: plain pieces, no BOS, no template."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}
        self.eos_id = int(tokenizer.eos_token_id)
        self.pad_id = self.eos_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id

    def __len__(self) -> int:
        return len(self._tokenizer)

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text, without special tokens; repeated texts are looked up."""
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._tokenizer(text, add_special_tokens=False)["input_ids"]
            self._known[text] = found
        return list(found)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token numbers: special tokens left out, white space at the ends removed."""
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text.strip()


_REMEMBERED = 10_000


def train_tokenizer(texts: Iterable[str], *, vocab_size: int, folder: Path) -> Tokens:
    """Train byte-level BPE and save it in transformers' format.

    Args:
        texts: Prompts and targets of the run; the same texts in the same order give the same
            files.
        vocab_size: Upper limit, at least 257; few texts give fewer pieces.
        folder: Where to save; appears whole, replaces what is there.

    Raises:
        OutputError: It cannot be written.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS, pad_token=EOS)
    try:
        with building_folder(folder) as fresh:
            fast.save_pretrained(fresh)
            if folder.exists():
                shutil.rmtree(folder)
            fresh.rename(folder)
    except OSError as error:
        raise write_failure(folder, error) from error
    return Tokens(fast)


def load_tokenizer(path_or_name: str | Path) -> Tokens:
    """Load a tokenizer by folder or by the decoder's name on the hub.

    Raises:
        CatalogError: There is none, or it has no EOS token.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path_or_name))
    except (OSError, ValueError) as error:
        raise CatalogError(
            f"No tokenizer can be loaded from '{path_or_name}' ({_first_line(error)}). Expected a "
            "folder with tokenizer files or a model's name on the hub; check the recipe's decoder, "
            "fetch it while a network is at hand, or take the small decoder that is made here: "
            "--recipe mini."
        ) from error
    if tokenizer.eos_token_id is None:
        raise CatalogError(
            f"The tokenizer of '{path_or_name}' has no end-of-text token, which ends each answer. "
            "Choose another decoder, or set eos_token in its tokenizer_config.json."
        )
    return Tokens(tokenizer)


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
