"""The encoder's process as the stages of a run share it, and the folders that it decides."""

from __future__ import annotations

from auricle.encoder.host import EncoderProcess
from auricle.encoder.properties import Properties, measure_properties
from auricle.features.store import STORED, FeatureStore
from auricle.job import Data, Job
from auricle.records.manifest import run_hash
from auricle.runs.folder import RunFolder


class LazyEncoder:
    """The encoder's process, started when it is needed and stopped when it is not."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._process: EncoderProcess | None = None
        self._properties: Properties | None = None

    def __enter__(self) -> LazyEncoder:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def get(self) -> EncoderProcess:
        """The running process.

        Raises:
            EncoderError: It cannot be started.
        """
        if self._process is None:
            process = EncoderProcess(
                self._job.encoder,
                device=self._job.device,
                threads=self._job.threads,
                log_path=self._job.home / "logs" / f"{self._job.encoder.name}.log",
                batch_timeout_s=self._job.options.batch_timeout_s,
            )
            process.start()
            self._process = process
        return self._process

    def properties(self) -> Properties:
        """What decides which windows share a batch; measured once.

        Raises:
            EncoderError: The encoder failed on a probe window.
        """
        if self._properties is None:
            self._properties = measure_properties(self.get())
        return self._properties

    def cpu_s(self) -> float:
        """Processor seconds of the running process so far; 0 when none runs."""
        return self._process.cpu_s() if self._process is not None else 0.0

    def stop(self) -> None:
        """End the process, e.g. to leave the device to the LALM."""
        if self._process is not None:
            self._process.close()
            self._process = None


def open_store(job: Job, process: LazyEncoder) -> FeatureStore:
    """The encoder's features on disk, in the dtype that the recipe asks for."""
    info = process.get().info
    folder = job.home / "features" / info.content_hash
    return FeatureStore(folder, dtype=job.recipe.features.dtype or info.dtype, dim=info.output_dim)


def stored_bytes_per_s(store: FeatureStore, process: LazyEncoder) -> float:
    """What the features of a second of audio take on disk, by the measured frame rate."""
    return process.properties().frame_rate_hz * store.dim * STORED[store.dtype].itemsize


def find_folder(job: Job, data: Data, process: LazyEncoder) -> RunFolder:
    """The folder of the run that this job is, whether it exists or not."""
    identity = run_hash(
        encoder=process.get().info.content_hash,
        mixture=data.training_lock(),
        recipe=job.recipe.to_json(),
        seed=job.seed,
    )
    return RunFolder.of(
        job.options.out, suite=job.suite.name, encoder=job.encoder.name, identity=identity
    )
