"""Any causal language model, through transformers and peft as they are.

For decoders that the lean path does not compute. Sequences are padded on the right: a causal model
never looks there, so no mask is needed in training, and positions count real rows by themselves.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from auricle.lalm.attention import Layout
from auricle.lalm.batch import Batch
from auricle.lalm.greedy import Settings, check_tokens, choose
from auricle.lalm.lora import TARGETS, LoraSettings
from auricle.lalm.pieces import Piece, whole


class GenericDecoder(nn.Module):
    """A decoder of any architecture."""

    def __init__(self, decoder: Any, *, lora: LoraSettings | None, seed: int) -> None:
        """Wrap a transformers model.

        Args:
            decoder: From ``AutoModelForCausalLM``.
            lora: Adapters on every linear layer of the blocks, or None.
            seed: For the adapters' first values.
        """
        super().__init__()
        decoder.requires_grad_(False)
        config = decoder.config
        self.hidden_size = int(decoder.get_input_embeddings().weight.shape[1])
        self.max_positions = int(getattr(config, "max_position_embeddings", 0) or 2**31)
        self.lora = lora
        if lora is not None:
            decoder = _with_adapters(decoder, lora, seed)
        self.decoder = decoder
        self.compute_dtype = torch.float32

    def set_precision(self, dtype: torch.dtype) -> None:
        """Choose the products' dtype; bf16 runs under autocast, weights stay in float32."""
        self.compute_dtype = dtype
        if dtype is torch.float64:
            self.double()

    def train_whole(self) -> None:
        """Let all of the decoder train."""
        self.decoder.requires_grad_(True)

    def pieces(self) -> list[Piece]:
        """What trains, under its name in the model; adapters under peft's."""
        return [
            whole(name.replace(".default.", "."), parameter)
            for name, parameter in self.decoder.named_parameters()
            if parameter.requires_grad
        ]

    def loss(self, audio: Tensor, batch: Batch, *, dropout_seed: int | None) -> Tensor:
        """Mean cross entropy of the labels.

        Args:
            audio: The projected features ``[A, hidden]``.
            batch: Where they and the tokens go.
            dropout_seed: Seed of this step's dropout masks, or None for no dropout.
        """
        embedded = self.decoder.get_input_embeddings()(batch.tokens)
        layout = Layout(batch.lengths, batch.label_counts, embedded.device)
        count, width = len(batch.lengths), max(batch.lengths)
        x = embedded.new_zeros(len(batch.positions), self.hidden_size)
        x = x.index_copy(0, batch.audio_places, audio.to(x.dtype))
        x = x.index_copy(0, batch.token_places, embedded)
        places = layout.places(batch.lengths)
        padded = x.new_zeros(count * width, self.hidden_size).index_copy(0, places, x)
        labelled = places[batch.label_places]
        columns, column_of = torch.unique(labelled % width, return_inverse=True)
        positions = torch.arange(width, device=x.device).expand(count, width)
        with self._training(dropout_seed, x.device), self._autocast(x.device):
            logits = self.decoder(
                inputs_embeds=padded.view(count, width, -1),
                position_ids=positions,
                use_cache=False,
                logits_to_keep=columns,
            ).logits
        wanted = logits[labelled // width, column_of]
        return F.cross_entropy(wanted.to(x.dtype), batch.labels)

    @torch.inference_mode()
    def generate(
        self, audio: Sequence[Tensor], prompts: Sequence[Sequence[int]], settings: Settings
    ) -> list[list[int]]:
        """Greedy answers, padded on the left; see `auricle.lalm.decode.Generator.generate`.

        The loop is ours: given embeddings of several rows, transformers' own generation leaves the
        repetition penalty out (seen in 5.23).
        """
        embed = self.decoder.get_input_embeddings()
        device = embed.weight.device
        rows = [
            torch.cat([a.to(embed.weight.dtype), embed(torch.tensor(p, device=device).long())])
            for a, p in zip(audio, prompts, strict=True)
        ]
        width = max(len(row) for row in rows)
        x = rows[0].new_zeros(len(rows), width, self.hidden_size)
        mask = torch.zeros(len(rows), width, dtype=torch.int64, device=device)
        for at, row in enumerate(rows):
            x[at, width - len(row) :] = row
            mask[at, width - len(row) :] = 1
        self.decoder.eval()
        past, columns, vocabulary = None, [], 0
        said = mask.new_zeros(len(rows), 0)
        positions = (mask.cumsum(1) - 1).clamp_(min=0)
        ended = torch.zeros(len(rows), dtype=torch.bool, device=device)
        for _ in range(settings.max_new_tokens):
            with self._autocast(device):
                out = self.decoder(
                    inputs_embeds=x,
                    attention_mask=mask,
                    position_ids=positions,
                    past_key_values=past,
                    use_cache=True,
                    logits_to_keep=1,
                )
            logits, past = out.logits[:, -1].to(embed.weight.dtype), out.past_key_values
            vocabulary = logits.shape[1]
            chosen = choose(logits, said, settings.repetition_penalty)
            columns.append(chosen)
            said = torch.cat([said, chosen.clamp(max=vocabulary - 1)[:, None]], 1)
            ended |= chosen == settings.eos_id
            if ended.all():
                break
            x, positions = (
                embed(said[:, -1:]),
                positions[:, -1:] + 1,
            )
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], 1)
        ids = torch.stack(columns, 1).tolist() if columns else [[] for _ in rows]
        answers = [_until(row, settings.eos_id) for row in ids]
        for number, answer in enumerate(answers):
            check_tokens(answer, [number] * len(answer), vocabulary)
        return answers

    @contextlib.contextmanager
    def _training(self, dropout_seed: int | None, device: torch.device) -> Iterator[None]:
        if dropout_seed is None or self.lora is None or self.lora.dropout == 0:
            self.decoder.eval()
            yield
            return
        # The decoder's own dropout stays off; peft's modules alone are put into training.
        for name, module in self.decoder.named_modules():
            module.training = "lora_dropout" in name
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(dropout_seed)
            yield

    def _autocast(self, device: torch.device) -> contextlib.AbstractContextManager[object]:
        if self.compute_dtype is torch.bfloat16:
            return torch.autocast(device.type, torch.bfloat16)
        return contextlib.nullcontext()


def _with_adapters(decoder: Any, lora: LoraSettings, seed: int) -> Any:
    from peft import LoraConfig, get_peft_model

    names = {name.rsplit(".", 1)[-1] for name, _ in decoder.named_modules()}
    known = [name for name in TARGETS if name in names]
    targets = known if len(known) == len(TARGETS) else "all-linear"
    with torch.random.fork_rng([]), warnings.catch_warnings():
        # peft calls a name of transformers that is going away, and tells of layers that it turns.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        warnings.filterwarnings("ignore", "fan_in_fan_out is set to False", UserWarning)
        torch.manual_seed(seed)
        return get_peft_model(decoder, LoraConfig(target_modules=targets, **lora.peft_config()))


def _until(ids: list[int], eos_id: int) -> list[int]:
    return ids[: ids.index(eos_id)] if eos_id in ids else ids
