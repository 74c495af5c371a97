"""The clips of a suite's tasks, opened and checked before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from auricle.catalog.spec import Task
from auricle.data.clips import AudioSource, ClipTable, Window, by_content
from auricle.data.containers import Flaw
from auricle.data.index import open_indexes
from auricle.data.mixture import prompt_at_test, texts_of
from auricle.data.places import shown
from auricle.data.shards import prepare_shards
from auricle.errors import DataError
from auricle.progress import Progress, Stage

_SHOWN = 5
UNDECODABLE = "cannot be decoded"
DAMAGED = "end before their indexed end or are damaged in between, and are used as far as they go"
SILENCED = "are made silent by the mean of their channels or the division by their peak"
FLAWS = {
    Flaw.SHORTER: "are shorter than their headers say and are used as far as they go",
    Flaw.LONGER: "hold more than their headers say, which is not heard",
}


@dataclass(frozen=True, slots=True)
class AskedClip:
    """One test clip of a task: asked once, scored once per reference."""

    clip: int
    id: str
    prompt: str
    references: tuple[str, ...]


def open_tables(
    tasks: Sequence[Task], side: str, *, home: Path, workers: int, progress: Progress
) -> dict[str, ClipTable]:
    """Open the shards of one side of each task.

    Args:
        tasks: The tasks.
        side: ``train`` or ``test``.
        home: The data home.
        workers: Threads that index shards.
        progress: Shows what takes long.

    Raises:
        DataError: Shards are missing or damaged; all of them are named.
    """
    tables: dict[str, ClipTable] = {}
    problems: list[str] = []
    for task in tasks:
        try:
            shards = prepare_shards(task, side, home=home, progress=progress)
            indexes = open_indexes(shards, home=home, workers=workers, progress=progress)
        except DataError as error:
            problems.append(str(error))
            continue
        tables[task.name] = ClipTable(shards, indexes)
        if left_out := tables[task.name].left_out.texts():
            progress.warn(f"{task.name}: left out of its {side} shards: {'; '.join(left_out)}.")
        for text in flaw_texts(task.name, tables[task.name], side):
            progress.warn(text)
    if problems:
        raise DataError("\n".join(problems))
    return tables


def flaw_texts(name: str, table: ClipTable, side: str) -> list[str]:
    """What to say of the clips of one side of a task that are not what their headers say."""
    texts = []
    for flaw, differs in FLAWS.items():
        if clips := table.flawed(flaw):
            which = shown([table.clip_id(clip) for clip in clips])
            texts.append(f"{name}: {len(clips)} of {len(table)} {side} clips {differs} ({which}).")
    return texts


def listen(name: str, table: ClipTable, side: str, *, workers: int, stage: Stage) -> list[str]:
    """Decode every clip of one side of a task.

    Args:
        name: The task's name.
        table: Its clips.
        side: ``train`` or ``test``.
        workers: Threads that decode.
        stage: Told of each clip.

    Returns:
        What to say of those that give no sample, end before their indexed end, or are silenced.
    """
    source = AudioSource([table])

    def heard(clip: int) -> str | None:
        try:
            one = source.hear(table.window(clip)) if table.readable(clip) else None
        except DataError:
            one = None
        if one is None:
            return UNDECODABLE
        return DAMAGED if one.flaw else SILENCED if one.silenced else None

    with ThreadPoolExecutor(max(1, workers)) as pool:
        remarks = []
        for remark in pool.map(heard, range(len(table))):
            remarks.append(remark)
            stage.advance()
    texts = []
    for remark in (UNDECODABLE, DAMAGED, SILENCED):
        clips = [table.clip_id(clip) for clip, one in enumerate(remarks) if one == remark]
        if clips:
            texts.append(
                f"{name}: {len(clips)} of {len(table)} {side} clips {remark} ({shown(clips)})."
            )
    return texts


def check_texts(task: Task, table: ClipTable, side: str) -> list[str]:
    """Read every label of one side of a task.

    Returns:
        All texts, clip by clip.

    Raises:
        DataError: Clips lack the field; the first few are named with their number.
    """
    texts: list[str] = []
    problems: list[str] = []
    for clip in range(len(table)):
        try:
            texts += texts_of(task, table, clip, side)
        except DataError as error:
            problems.append(str(error))
    if problems:
        more = len(problems) - _SHOWN
        raise DataError(
            "\n".join(problems[:_SHOWN]) + (f"\nand {more} clips more." if more > 0 else "")
        )
    return texts


def hold_out(task: Task, table: ClipTable, *, share: float, most: int) -> list[int]:
    """The training clips of a task that are kept out of training, in the data's order.

    They are those with the smallest SHA-256 of their ids, so neither the order of the shards nor
    the machine nor a seed decides which.

    Args:
        task: The task.
        table: All of its training clips.
        share: How many of them, as a part; at least one.
        most: How many at most.

    Raises:
        DataError: There are too few clips to train on some and ask others.
    """
    count = min(most, max(1, round(share * len(table))))
    if count >= len(table):
        raise DataError(
            f"Task {task.name} has {len(table)} training clips, of which {count} would be held "
            "out; some must remain to train on. Give it more clips, or a smaller share."
        )
    digests = [sha256(table.clip_id(clip).encode()).digest() for clip in range(len(table))]
    return sorted(sorted(range(len(table)), key=digests.__getitem__)[:count])


def collect_asked_clips(task: Task, table: ClipTable, side: str = "test") -> list[AskedClip]:
    """The clips that a task is asked, without those known to be undecodable.

    Args:
        task: The task.
        table: Its test clips, or the training clips that are held out.
        side: Whose label field is the reference; of ``train``, clips without a readable header are
            left out, as they are in training.

    Raises:
        DataError: Clips share an id, under which their answers would be kept.
    """
    known_bad = set(task.undecodable)
    clips = []
    for clip in range(len(table)):
        clip_id = table.clip_id(clip)
        if clip_id not in known_bad and (side == "test" or table.readable(clip)):
            references = tuple(texts_of(task, table, clip, side))
            prompt = prompt_at_test(task, table, clip)
            clips.append(AskedClip(clip, clip_id, prompt, references))
    twice = [name for name, count in Counter(clip.id for clip in clips).items() if count > 1]
    if twice:
        raise DataError(
            f"Task {task.name}: {shown(twice)} stand in their shards more than once; answers are "
            "kept by clip, so each key must be one clip's. Make these shards anew."
        )
    return clips


def asked_windows(table: ClipTable, asked: Sequence[AskedClip]) -> list[Window]:
    """The windows of a task's readable test clips, in content's order."""
    return by_content(table.window(a.clip) for a in asked if table.readable(a.clip))


def same_audio(train: ClipTable | None, test: ClipTable | None) -> list[str]:
    """What is to be said of audio files that stand on both sides of a task, to the byte."""
    if train is None or test is None:
        return []
    heard = set(train.digests().tolist())
    both = [clip for clip, digest in enumerate(test.digests().tolist()) if digest in heard]
    if not both:
        return []
    clips = "1 test clip has" if len(both) == 1 else f"{len(both)} test clips have"
    return [
        f"{clips} the same audio as training clips, so that the test side is not unheard "
        f"({shown([test.clip_id(clip) for clip in both])})."
    ]
