"""The answer stage: a task's test clips, encoded span by span, answered chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence

from auricle.data.clips import Window
from auricle.data.tables import AskedClip
from auricle.lalm.answer import Answerer, Question
from auricle.runs.manifest import record_failure
from auricle.runs.predictions import Prediction, finished_chunks, join_chunks, write_chunk
from auricle.stages.encoding import Encoding
from auricle.stages.memory import memory_of


class Answering:
    """A trained LALM answers the tasks of one folder."""

    def __init__(self, encoding: Encoding, answerer: Answerer) -> None:
        self._encoding, self._answerer = encoding, answerer

    def answer(self, name: str) -> None:
        """Answer a task's test clips; what cannot be decoded is counted and shown."""
        encoding, folder = self._encoding, self._encoding.folder
        if folder.predictions(name).exists():
            return
        table, asked = encoding.walk.data.tests[name]
        questions = encoding.walk.questions(name)
        windows, chunks = questions.windows, questions.chunks
        done = finished_chunks(folder, name)
        bad: set[Window] = set()
        with encoding.progress.stage(
            f"answer {name}", len(chunks), "chunks", done=len(done)
        ) as stage:
            for span in encoding.walk.answering(questions):
                bad |= encoding.encode(span, name=f"encode {name}")
                for number in range(span.first, span.stop):
                    if number not in done:
                        kept = [a for a in chunks[number] if windows[a.id] not in bad]
                        self._answer_chunk(name, number, kept, windows)
                        stage.advance()
        encoding.tell_remarks(name)
        answered = {clip for clip, window in windows.items() if window not in bad}
        lost = sorted({a.id for a in asked} - answered)
        reasons = []
        if lost:
            which = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
            reasons = [f"{len(lost)} of {len(asked)} test clips cannot be decoded ({which})"]
        if left_out := table.left_out.texts(lost_only=True):
            reasons.append(f"its test shards hold {'; '.join(left_out)}")
        if reasons:
            reason = "; ".join(reasons)
            record_failure(folder, name, f"incomplete: {reason}")
            encoding.progress.warn(f"{name}: {reason}; the task counts as missing.")
        join_chunks(folder, name, order=[a.id for a in asked if a.id not in lost])

    def _answer_chunk(
        self,
        name: str,
        number: int,
        chunk: Sequence[AskedClip],
        windows: dict[str, Window],
    ) -> None:
        if not chunk:
            write_chunk(self._encoding.folder, name, number, [])
            return
        questions = [Question(self._encoding.features.read(windows[a.id]), a.prompt) for a in chunk]
        device = self._encoding.job.device
        with (
            self._encoding.clock("answer"),
            memory_of(device, doing=f"answering {len(chunk)} clips of {name}"),
        ):
            texts = self._answerer.answer(questions)
        predictions = [
            Prediction(a.id, a.references, text, round(windows[a.id].duration_s, 6))
            for a, text in zip(chunk, texts, strict=True)
        ]
        write_chunk(self._encoding.folder, name, number, predictions)
