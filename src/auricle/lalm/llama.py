"""The lean decoder: a Llama's own weights, run without what this job does not need.

Against the transformers forward: no padding is computed, logits and all of the last block but its
keys and values exist only for positions with a label, layers that share an input are one product,
frozen weights get no gradients, and adapters cost a few skinny products. The results agree with
transformers to rounding (tests/lalm/test_llama.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from auricle.lalm.attention import Attention, Layout
from auricle.lalm.batch import Batch
from auricle.lalm.fixed import NO_LABEL, FixedAttention, FixedBatch
from auricle.lalm.lora import PREFIX, LoraSettings, first_down
from auricle.lalm.matmul import ROUND_ROWS
from auricle.lalm.operations import Adapters, Dropout, Group, linear, rotate
from auricle.lalm.pieces import Piece, stacked, whole
from auricle.lalm.sources import Gated, Normed, Plain, normed

_ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_OUTPUT = ("self_attn.o_proj",)
_GATE_UP = ("mlp.gate_proj", "mlp.up_proj")
_DOWN = ("mlp.down_proj",)


def is_lean(decoder: Any) -> bool:
    """Whether the lean path computes this transformers model exactly."""
    config = decoder.config
    return bool(
        type(decoder).__name__ == "LlamaForCausalLM"
        and config.hidden_act == "silu"
        and not config.attention_bias
        and not config.mlp_bias
        and not config.attention_dropout
        and "dynamic" not in config.rope_parameters["rope_type"]
        and config.rope_parameters["rope_type"] != "longrope"
    )


class StackedLinear(nn.Module):
    """Linear layers that read the same input, stored as one, with room for adapters."""

    def __init__(self, layers: Sequence[nn.Linear], names: Sequence[str], prefix: str) -> None:
        """Take over the layers' weights; the layers themselves are empty afterwards.

        Args:
            layers: Without bias.
            names: Their names in the block.
            prefix: The block's name in the model.
        """
        super().__init__()
        self.names = [f"{prefix}.{name}" for name in names]
        self.sizes = [layer.out_features for layer in layers]
        stack = torch.cat([layer.weight.detach() for layer in layers])
        self.weight = nn.Parameter(stack, requires_grad=False)
        for layer in layers:
            layer.weight = nn.Parameter(layer.weight.new_empty(0), requires_grad=False)
        self.columns = stack.shape[1]
        self.down: nn.Parameter | None = None
        self.up: nn.Parameter | None = None
        self.scale = 0.0

    def add_adapters(self, settings: LoraSettings, generator: torch.Generator) -> None:
        """Give each layer an adapter that changes nothing yet."""
        downs = [first_down(settings.rank, self.columns, generator) for _ in self.sizes]
        room = self.weight.new_zeros(sum(self.sizes), settings.rank * len(self.sizes))
        self.weight.data = torch.cat([self.weight.data, room], 1)
        self.down = nn.Parameter(torch.cat(downs))
        self.up = nn.Parameter(torch.zeros(sum(self.sizes), settings.rank))
        self.scale = settings.scale

    def group(self) -> Group:
        """As the operations take it."""
        if self.down is None or self.up is None:
            return Group(self.weight, self.sizes)
        return Group(self.weight, self.sizes, Adapters(self.down, self.up, self.scale))

    def pieces(self) -> list[Piece]:
        """Everything that can train."""
        found = stacked([f"{name}.weight" for name in self.names], self.sizes, self.weight)
        if self.down is not None and self.up is not None:
            rank = self.up.shape[1]
            downs = [f"{PREFIX}{name}.lora_A.weight" for name in self.names]
            ups = [f"{PREFIX}{name}.lora_B.weight" for name in self.names]
            found += stacked(downs, [rank] * len(downs), self.down)
            found += stacked(ups, self.sizes, self.up)
        return found


class LeanBlock(nn.Module):
    """One block's parameters."""

    def __init__(self, layer: Any, prefix: str) -> None:
        super().__init__()
        attention, mlp = layer.self_attn, layer.mlp
        self.qkv = StackedLinear(
            [attention.q_proj, attention.k_proj, attention.v_proj], _ATTENTION, prefix
        )
        self.output = StackedLinear([attention.o_proj], _OUTPUT, prefix)
        self.gate_up = StackedLinear([mlp.gate_proj, mlp.up_proj], _GATE_UP, prefix)
        self.down = StackedLinear([mlp.down_proj], _DOWN, prefix)
        self.norm1 = layer.input_layernorm.weight
        self.norm2 = layer.post_attention_layernorm.weight
        self.prefix = prefix

    def stacks(self) -> list[StackedLinear]:
        """The four stacks, in order."""
        return [self.qkv, self.output, self.gate_up, self.down]

    def pieces(self) -> list[Piece]:
        """Everything that can train."""
        found = [piece for stack in self.stacks() for piece in stack.pieces()]
        found.append(whole(f"{self.prefix}.input_layernorm.weight", self.norm1))
        found.append(whole(f"{self.prefix}.post_attention_layernorm.weight", self.norm2))
        return found


class LeanLlama(nn.Module):
    """A decoder of Llama's architecture."""

    def __init__(
        self, decoder: Any, *, lora: LoraSettings | None, generator: torch.Generator
    ) -> None:
        """Take over the weights of a transformers model, which is of no use afterwards.

        Args:
            decoder: A model for which `is_lean` holds.
            lora: Adapters on every linear layer of the blocks, or None.
            generator: For the adapters' first values.
        """
        super().__init__()
        config = decoder.config
        self.heads = (config.num_attention_heads, config.num_key_value_heads)
        self.head_dim = config.head_dim
        self.eps = config.rms_norm_eps
        self.max_positions = int(config.max_position_embeddings)
        self.hidden_size = int(config.hidden_size)
        self.dropout_rate = 0.0 if lora is None else lora.dropout
        self.lora = lora
        self.embedding = decoder.model.embed_tokens.weight
        self.norm = decoder.model.norm.weight
        self.tied = bool(config.tie_word_embeddings)
        self.head = self.embedding if self.tied else decoder.lm_head.weight
        self.rotary = decoder.model.rotary_emb
        self.blocks = nn.ModuleList(
            LeanBlock(layer, f"model.layers.{place}")
            for place, layer in enumerate(decoder.model.layers)
        )
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        if lora is not None:
            for stack in self.stacks():
                stack.add_adapters(lora, generator)
        self.compute_dtype = torch.float32

    def stacks(self) -> list[StackedLinear]:
        """All linear layers of the blocks."""
        return [stack for block in self.lean_blocks() for stack in block.stacks()]

    def lean_blocks(self) -> list[LeanBlock]:
        """The blocks, in order."""
        return [block for block in self.blocks if isinstance(block, LeanBlock)]

    def set_precision(self, dtype: torch.dtype) -> None:
        """Choose the products' dtype; frozen matrices are stored in it, what trains is not."""
        self.compute_dtype = dtype
        if dtype is torch.float64:
            self.double()
            return
        for stack in self.stacks():
            if not stack.weight.requires_grad:
                stack.weight.data = stack.weight.data.to(dtype)

    def train_whole(self) -> None:
        """Let all of the decoder train."""
        for parameter in self.parameters():
            parameter.requires_grad_(True)

    def pieces(self) -> list[Piece]:
        """What trains."""
        found = [piece for block in self.lean_blocks() for piece in block.pieces()]
        found.append(whole("model.embed_tokens.weight", self.embedding))
        found.append(whole("model.norm.weight", self.norm))
        if not self.tied:
            found.append(whole("lm_head.weight", self.head))
        return [piece for piece in found if piece.parameter.requires_grad]

    def rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine of each position: ``[N, 1, width / 2]``, in the residual's dtype."""
        cos, sin = self.rotary(self.norm, positions[None])
        half = self.head_dim // 2
        return cos[0, :, None, :half], sin[0, :, None, :half]

    def loss(self, audio: Tensor, batch: Batch, *, dropout_seed: int | None) -> Tensor:
        """Mean cross entropy of the labels.

        Args:
            audio: The projected features ``[A, hidden]``.
            batch: Where they and the tokens go.
            dropout_seed: Seed of this step's dropout masks, or None for no dropout.

        Returns:
            A number, in float32 or wider.
        """
        text = F.embedding(batch.tokens, self.embedding)
        # Rows of zeros round the number up, as a sequence of their own that has no label.
        fill = -len(batch.positions) % ROUND_ROWS
        rows = len(batch.positions) + fill
        x = torch.zeros(rows, self.hidden_size, dtype=text.dtype, device=text.device)
        x = x.index_copy(0, batch.audio_places, audio.to(text.dtype))
        x = x.index_copy(0, batch.token_places, text)
        lengths, tails, positions = batch.lengths, batch.label_counts, batch.positions
        if fill:
            lengths, tails = (*lengths, fill), (*tails, 0)
            positions = torch.cat([positions, torch.arange(fill, device=x.device)])
        layout = Layout(lengths, tails, x.device)
        generator = None
        if dropout_seed is not None:
            generator = torch.Generator(x.device).manual_seed(dropout_seed)
        logits = self._logits(x, layout, positions, batch.label_places, generator)
        return F.cross_entropy(logits, batch.labels)

    def fixed_loss(
        self, audio: Tensor, batch: FixedBatch, *, generator: torch.Generator | None
    ) -> Tensor:
        """The same of a batch of fixed shape, with no number from the CPU: it can be captured.

        Args:
            audio: The projected features ``[N, hidden]``; only those of audio rows are used.
            batch: Where they and the tokens go.
            generator: Of this step's dropout masks, or None for no dropout.
        """
        text = F.embedding(batch.tokens, self.embedding)
        x = torch.where(batch.is_audio[:, None], audio.to(text.dtype), text)
        attention = FixedAttention(batch, self.compute_dtype)
        logits = self._logits(x, attention, batch.positions, batch.label_places, generator)
        return F.cross_entropy(logits, batch.labels, ignore_index=NO_LABEL)

    def _logits(
        self,
        x: Tensor,
        attention: Attention,
        positions: Tensor,
        label_places: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Rows ``[N, hidden]`` to the logits of those with a label ``[K, vocabulary]``."""
        dropout = None
        if generator is not None and self.dropout_rate > 0:
            dropout = Dropout(self.dropout_rate, generator)
        rotation = self.rotation(positions)
        blocks = self.lean_blocks()
        for block in blocks[:-1]:
            x = self._block(block, x, attention, rotation, dropout)
        x = self._last_block(blocks[-1], x, attention, rotation, label_places, dropout)
        return F.linear(normed(x, self.norm, self.eps), self.head)

    def _block(
        self,
        block: LeanBlock,
        x: Tensor,
        attention: Attention,
        rotation: tuple[Tensor, Tensor],
        dropout: Dropout | None,
    ) -> Tensor:
        dtype = self.compute_dtype
        heads, key_heads = self.heads
        source = Normed(self.eps)
        qkv = linear(
            x, block.qkv.group(), source=source, norm=block.norm1, dropout=dropout, dtype=dtype
        )
        qk, v = torch.split(qkv.view(len(x), -1, self.head_dim), [heads + key_heads, key_heads], 1)
        q, k = torch.split(rotate(qk, *rotation), [heads, key_heads], 1)
        mixed = attention.causal(q, k, v)
        return self._after_attention(block, x, mixed, dropout)

    def _last_block(
        self,
        block: LeanBlock,
        x: Tensor,
        attention: Attention,
        rotation: tuple[Tensor, Tensor],
        places: Tensor,
        dropout: Dropout | None,
    ) -> Tensor:
        dtype = self.compute_dtype
        key_heads = self.heads[1]
        source = Normed(self.eps)
        group = block.qkv.group()
        kv = linear(
            x, group.part(1, 3), source=source, norm=block.norm1, dropout=dropout, dtype=dtype
        )
        k, v = torch.split(kv.view(len(x), -1, self.head_dim), [key_heads, key_heads], 1)
        x = x.index_select(0, places)
        q = linear(
            x, group.part(0, 1), source=source, norm=block.norm1, dropout=dropout, dtype=dtype
        )
        cos, sin = rotation
        q = rotate(q.view(len(x), -1, self.head_dim), cos[places], sin[places])
        mixed = attention.tails(q, rotate(k, cos, sin), v)
        return self._after_attention(block, x, mixed, dropout)

    def _after_attention(
        self, block: LeanBlock, x: Tensor, mixed: Tensor, dropout: Dropout | None
    ) -> Tensor:
        dtype = self.compute_dtype
        x = x + linear(mixed, block.output.group(), source=Plain(), dropout=dropout, dtype=dtype)
        gates = linear(
            x,
            block.gate_up.group(),
            source=Normed(self.eps),
            norm=block.norm2,
            dropout=dropout,
            dtype=dtype,
        )
        return x + linear(gates, block.down.group(), source=Gated(), dropout=dropout, dtype=dtype)
