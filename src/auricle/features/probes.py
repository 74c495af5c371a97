"""Probe windows: stored features are used again only if the encoder still gives the same ones.

An encoder's hash covers every file that its import and construction were seen to open, but a file
can be opened unseen (by native code, or later). So the features of two fixed windows lie beside
each store, in ``probes.safetensors``, and must agree within law 1's tolerance (law 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.encoder.properties import TOLERANCE, difference_of
from auricle.errors import EncoderContractError
from auricle.files import write_bytes


def check_probes(folder: Path, probes: Sequence[NDArray[np.float32]], *, encoder: str) -> None:
    """Compare an encoder's probe features with those of its store; keep them if it has none.

    Args:
        folder: The stores of one encoder hash.
        probes: float32 ``[T', D]`` each.
        encoder: What the user typed, for the error.

    Raises:
        EncoderContractError: They differ by more than the tolerance.
    """
    from safetensors.numpy import load_file, save

    path = folder / "probes.safetensors"
    given: dict[str, NDArray[Any]] = {
        f"probe_{place}": np.ascontiguousarray(probe) for place, probe in enumerate(probes)
    }
    if not path.is_file():
        write_bytes(path, save(given))
        return
    stored = load_file(path)
    difference = difference_of([stored[name] for name in given], list(given.values()))
    if difference is None or difference > TOLERANCE:
        seen = f"a difference of {difference:.2g}" if difference else "another number of frames"
        raise EncoderContractError(
            f"{encoder} gives other features than when its stored ones were made, though its "
            f"files, arguments and packages are the same: {seen} on a fixed window, at most "
            f"{TOLERANCE:g} of the RMS expected. Make it deterministic ('auricle check' shows "
            "how), or, if a file that it reads in another way has changed, remove "
            f"{folder} and run again."
        )
