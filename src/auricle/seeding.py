"""Counter-based random numbers: word i of a stream is computed without the words before it.

Philox-4x64-10 (Salmon et al., 2011) as numpy ships it, keyed by a hash of what the stream is for.
numpy promises a bit generator's raw words to be the same in every release; the methods of its
``Generator`` carry no such promise, so draws (law 2) are made from raw words alone.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORDS_PER_COUNTER = 4


def stream_key(*parts: str | int) -> int:
    """128-bit key of a named stream; any difference in the parts gives an unrelated stream."""
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def random_words(key: int, first: int, count: int) -> NDArray[np.uint64]:
    """Raw words of ``count`` consecutive counters.

    Args:
        key: From `stream_key`.
        first: The first counter, 0 or more.
        count: How many counters.

    Returns:
        uint64 ``[count, 4]``; row j depends on (key, first + j) alone.
    """
    import numpy as np

    # Philox steps its counter before it makes a block, so counter c gives the block c + 1.
    bits = np.random.Philox(key=key, counter=first)
    return bits.random_raw(count * WORDS_PER_COUNTER).reshape(count, WORDS_PER_COUNTER)


def unit_floats(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Map raw words to float64 in [0, 1), 53 bits each."""
    import numpy as np

    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def generator(*parts: str | int) -> Any:
    """A ``numpy.random.Generator`` of its own for a named purpose, e.g. one synthetic clip."""
    import numpy as np

    return np.random.Generator(np.random.Philox(key=stream_key(*parts)))
