"""What a submission may take; light, so that the command line can say it."""

from __future__ import annotations

from dataclasses import dataclass, field

from auricle.sandbox.policy import GIBI

MEMORY_BYTES = 16 * GIBI
JUDGED_RUN_S = 14 * 86_400.0
"""Wall clock of a judged run."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What the fetch stage may take."""

    install_s: float = 1800.0
    construct_s: float = 1800.0
    """Also for hashing the environment afterwards."""
    disk_bytes: int = 40 * GIBI
    memory_bytes: int = MEMORY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLimits:
    """What an encoder that is tried may take."""

    memory_bytes: int = MEMORY_BYTES
    """Main memory of the encoder's process."""
    disk_bytes: int = 50 * GIBI
    """What one run may fill."""
    check_limit_s: float = 90.0
    batch_limit_s: float = 120.0
    smoke_limit_s: float = 1800.0
    fetch: FetchLimits = field(default_factory=FetchLimits)

    def record(self) -> dict[str, float]:
        """The limits as they stand in a receipt: bytes and seconds."""
        return {
            "memory_bytes": self.memory_bytes,
            "disk_bytes": self.disk_bytes,
            "check_limit_s": self.check_limit_s,
            "batch_limit_s": self.batch_limit_s,
            "smoke_limit_s": self.smoke_limit_s,
            "install_limit_s": self.fetch.install_s,
            "construct_limit_s": self.fetch.construct_s,
            "fetch_memory_bytes": self.fetch.memory_bytes,
            "fetch_disk_bytes": self.fetch.disk_bytes,
        }
