"""The LALM: a projector and a decoder.

The projector is one linear layer from (stacked) features to the decoder's width. The decoder runs
through the lean path where that computes it exactly, else through transformers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from auricle.catalog.recipe import DecoderConfig, Recipe
from auricle.errors import CatalogError
from auricle.lalm.batch import Batch, stack_frames
from auricle.lalm.capture import prepare_gpu
from auricle.lalm.fixed import FixedBatch
from auricle.lalm.generic import GenericDecoder
from auricle.lalm.llama import LeanLlama, is_lean
from auricle.lalm.lora import LoraSettings
from auricle.lalm.matmul import ROUND_ROWS
from auricle.lalm.operations import Group, linear
from auricle.lalm.pieces import Piece, parameters_of, whole
from auricle.lalm.sources import Plain
from auricle.lalm.tokens import Tokens, load_tokenizer
from auricle.seeding import stream_key

Engine = Literal["auto", "lean", "transformers"]

_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


class LALM(nn.Module):
    """Projector and decoder."""

    def __init__(
        self, projector: nn.Linear, decoder: LeanLlama | GenericDecoder, *, concat: int
    ) -> None:
        """Join the parts.

        Args:
            projector: From ``feature_dim * concat`` to the decoder's width.
            decoder: The lean path, or transformers'.
            concat: Frames per position.
        """
        super().__init__()
        self.projector = projector
        self.decoder = decoder
        self.concat = concat

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.projector.weight.device

    def set_precision(self, dtype: torch.dtype) -> None:
        """Choose the products' dtype: float32, bfloat16, or, to check results, float64."""
        self.decoder.set_precision(dtype)
        if dtype is torch.float64:
            self.projector.double()

    @property
    def max_positions(self) -> int:
        """Positions that the decoder was made for."""
        return self.decoder.max_positions

    def pieces(self) -> list[Piece]:
        """What trains, by its name in files."""
        projector = [
            whole("projector.weight", self.projector.weight),
            whole("projector.bias", self.projector.bias),
        ]
        return projector + self.decoder.pieces()

    def project(self, features: Tensor) -> Tensor:
        """Features ``[n, D * concat]`` of any float dtype to ``[n, hidden]``."""
        count = len(features)
        weight, bias = self.projector.weight, self.projector.bias
        # Rows of zeros keep the shapes few, as in the decoder (auricle.lalm.matmul).
        x = F.pad(features.to(weight.dtype), (0, 0, 0, -count % ROUND_ROWS))
        group = Group(weight, [weight.shape[0]])
        return linear(x, group, source=Plain(), dtype=weight.dtype)[:count] + bias

    def positions(self, features: Tensor) -> Tensor:
        """One window's features ``[T', D]`` to its rows ``[ceil(T' / concat), hidden]``."""
        return self.project(stack_frames(features.to(self.device), self.concat))

    def loss(self, batch: Batch, *, dropout_seed: int | None = None) -> Tensor:
        """Mean cross entropy over the batch's labels.

        Args:
            batch: On this device.
            dropout_seed: Seed of the adapters' dropout, or None for no dropout.
        """
        return self.decoder.loss(self.project(batch.features), batch, dropout_seed=dropout_seed)

    def fixed_loss(self, batch: FixedBatch, *, generator: torch.Generator | None = None) -> Tensor:
        """The same of a batch of fixed shape, by the lean decoder alone.

        Args:
            batch: On this device.
            generator: Of the adapters' dropout, seeded for this step, or None for no dropout.
        """
        assert isinstance(self.decoder, LeanLlama)
        audio = self.project(batch.features)
        return self.decoder.fixed_loss(audio, batch, generator=generator)


def build_lalm(
    recipe: Recipe,
    *,
    tokens: Tokens | None,
    feature_dim: int,
    seed: int,
    device: str | torch.device = "cpu",
    engine: Engine = "auto",
) -> LALM:
    """Make the LALM of a run; the same recipe and seed give the same weights.

    Args:
        recipe: Decoder, adapters, precision.
        tokens: The decoder's tokenizer; the mini decoder's vocabulary is made to fit it, or is as
            large as it may be where this is None.
        feature_dim: Width D of the encoder's features.
        seed: Of the run.
        device: Where to compute.
        engine: ``lean`` and ``transformers`` force a path; the first works for Llamas only.

    Raises:
        CatalogError: The decoder cannot be loaded.
    """
    device = torch.device(device)
    if device.type == "cuda":
        prepare_gpu(device)
    if recipe.decoder_config is not None:
        decoder = _mini(recipe.decoder_config, tokens, _seed("decoder", seed))
    else:
        decoder = _load(recipe.decoder)
    lean = is_lean(decoder) if engine == "auto" else engine == "lean"
    if lean and not is_lean(decoder):
        raise CatalogError(
            f"The lean engine runs Llama decoders, not {type(decoder).__name__}. "
            "Choose the engine 'auto' or 'transformers'."
        )
    lora = None
    if recipe.lora is not None:
        lora = LoraSettings(recipe.lora.rank, recipe.lora.alpha, recipe.lora.dropout)
    part: LeanLlama | GenericDecoder
    if lean:
        generator = torch.Generator().manual_seed(_seed("adapters", seed))
        part = LeanLlama(decoder, lora=lora, generator=generator)
    else:
        part = GenericDecoder(decoder, lora=lora, seed=_seed("adapters", seed))
    if recipe.train.train_decoder:
        part.train_whole()
    concat = recipe.features.concat
    projector = _projector(feature_dim * concat, part.hidden_size, _seed("projector", seed))
    lalm = LALM(projector, part, concat=concat)
    lalm.set_precision(_DTYPES[recipe.precision])
    return lalm.to(device)


def require_decoder(recipe: Recipe, *, feature_dim: int) -> int:
    """Build a recipe's LALM once, so that a lack shows before the work.

    Args:
        recipe: As for `build_lalm`.
        feature_dim: Width D of the encoder's features.

    Returns:
        How many numbers train; of the mini decoder, with the largest vocabulary that it may have.

    Raises:
        CatalogError: The decoder or its tokenizer cannot be loaded.
    """
    tokens = load_tokenizer(recipe.decoder) if recipe.decoder_config is None else None
    lalm = build_lalm(recipe, tokens=tokens, feature_dim=feature_dim, seed=0)
    return sum(parameter.numel() for parameter in parameters_of(lalm.pieces()))


def _seed(what: str, seed: int) -> int:
    return stream_key("lalm", what, seed) % 2**63


def _projector(columns: int, rows: int, seed: int) -> nn.Linear:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return nn.Linear(columns, rows)


def _mini(config: DecoderConfig, tokens: Tokens | None, seed: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = config.model_dump()
    if tokens is not None:
        sizes["vocab_size"] = len(tokens)
    settings = LlamaConfig(
        **sizes,
        bos_token_id=None,
        eos_token_id=None if tokens is None else tokens.eos_id,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(settings).eval()


def _load(name: str) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        with _no_bar():
            model, info = AutoModelForCausalLM.from_pretrained(
                name,
                dtype=torch.float32,
                attn_implementation="sdpa",
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, by name
            )
    except Exception as error:  # whatever a damaged file makes its reader raise
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise CatalogError(
            f"The decoder '{name}' cannot be loaded ({line}). Expected a folder in transformers' "
            "format or a model's name on the hub; check the recipe's field 'decoder', or fetch the "
            "model while a network is at hand."
        ) from error
    other = {key for key, *_ in info["mismatched_keys"]}
    for names, what in ((info["missing_keys"], "lacks"), (other, "has, in another shape,")):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CatalogError(
                f"The decoder '{name}' {what} weights that its config.json asks for: "
                f"{', '.join(sorted(names)[:3])}{more}. They would be random numbers; fetch or "
                "save the whole model again."
            )
    return model.eval()


@contextlib.contextmanager
def _no_bar() -> Iterator[None]:
    """Keep transformers from drawing its own progress bar over ours."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
