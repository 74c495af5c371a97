"""What the caption models say about texts: embeddings and fluency errors.

Cheap without changing the numbers: equal texts go through a model once, batches hold texts of
similar length and are padded to the longest of them (probabilities move by less than 1e-6).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.metrics.caption_models import LoadedModel

_NOT_WORD = re.compile(r"[^\w\s]")
_ERROR_THRESHOLD = 0.9
# As the reference computes it: float32 of 1 - 0.9.
_FLAGGED = float(np.float32(1 - 0.9))
_TOKENS_AT_ONCE = 4096
_TEXTS_AT_ONCE = 128

Ids = list[int]


def tokenise(model: LoadedModel, texts: Sequence[str], max_tokens: int) -> list[Ids]:
    """Token ids of each text with the special tokens, truncated, not padded."""
    if not texts:
        return []
    encoded = model.tokenizer(
        # Half of a surrogate pair, which JSON can hold, is no text for a tokenizer.
        [text.strip().encode("utf-8", "replace").decode() for text in texts],
        truncation=True,
        max_length=max_tokens,
        padding=False,
        return_attention_mask=False,
    )
    return [list(ids) for ids in encoded["input_ids"]]


def embed(
    model: LoadedModel, ids: Sequence[Ids], weights: Sequence[NDArray[np.float32]] | None = None
) -> NDArray[np.float32]:
    """Sentence embeddings: masked mean of the last hidden states, L2-normalised.

    Args:
        model: The sentence model.
        ids: Token ids of each text.
        weights: Factors on the input word embeddings, one per token; None is all ones.

    Returns:
        float32 ``[len(ids), hidden]``.
    """
    import torch

    out = np.empty((len(ids), model.network.config.hidden_size), dtype=np.float32)
    table = model.network.get_input_embeddings()
    with torch.inference_mode():
        for rows in _batches(ids):
            tokens, mask = _padded(model, [ids[row] for row in rows])
            inputs = table(tokens)
            if weights is not None:
                factors = np.ones(tokens.shape, dtype=np.float32)
                for place, row in enumerate(rows):
                    factors[place, : len(ids[row])] = weights[row]
                inputs = inputs * torch.from_numpy(factors).to(model.device)[:, :, None]
            hidden = model.network(inputs_embeds=inputs, attention_mask=mask).last_hidden_state
            kept = mask[:, :, None].to(hidden.dtype)
            mean = (hidden * kept).sum(1) / kept.sum(1).clamp(min=1e-9)
            out[rows] = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
    return out


def penalties(model: LoadedModel, texts: Sequence[str], *, num_samples: int) -> NDArray[np.float32]:
    """0.1 for each text in which the detector finds a fluency error, else 1.

    Args:
        model: The detector.
        texts: Normalised answers.
        num_samples: Size of the evaluated set; the reference truncates at 64 tokens where it is 1
            and at 256 otherwise.

    Returns:
        float32 ``[len(texts)]``.
    """
    import torch

    distinct = list(dict.fromkeys(texts))
    cleaned = [_NOT_WORD.sub("", text).lower() for text in distinct]
    ids = tokenise(model, cleaned, 64 if num_samples == 1 else model.max_tokens)
    found = np.ones(len(distinct), dtype=np.float32)
    with torch.inference_mode():
        for rows in _batches(ids):
            tokens, mask = _padded(model, [ids[row] for row in rows])
            hidden = model.network["encoder"](input_ids=tokens, attention_mask=mask)
            logits = model.network["clf"](hidden.last_hidden_state[:, 0])
            error = torch.sigmoid(logits)[:, -1] > _ERROR_THRESHOLD
            found[rows] = np.where(error.cpu().numpy(), _FLAGGED, 1.0)
    place = {text: index for index, text in enumerate(distinct)}
    result: NDArray[np.float32] = found[[place[text] for text in texts]]
    return result


def _batches(ids: Sequence[Ids]) -> Iterator[list[int]]:
    """Rows in batches of similar length, longest first."""
    order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
    first = 0
    while first < len(order):
        longest = len(ids[order[first]])
        size = max(1, min(_TEXTS_AT_ONCE, _TOKENS_AT_ONCE // longest))
        yield order[first : first + size]
        first += size


def _padded(model: LoadedModel, ids: Sequence[Ids]) -> tuple[Any, Any]:
    import torch

    longest = max(map(len, ids))
    tokens = np.full((len(ids), longest), model.tokenizer.pad_token_id, dtype=np.int64)
    mask = np.zeros((len(ids), longest), dtype=np.int64)
    for row, text in enumerate(ids):
        tokens[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return torch.from_numpy(tokens).to(model.device), torch.from_numpy(mask).to(model.device)
