"""The synthetic tasks by name, and the one way to make a clip of them.

A clip is a function of (task, split, index) and of ``VERSION``, which is the revision under which
shards are kept: whoever changes what a clip sounds like or says raises it. (numpy promises the
same raw random words for ever, but not the same methods or the last bit of a sine; where a
machine differs there, the data lock's hashes say so.)
"""

from __future__ import annotations

from auricle.errors import UnknownNameError
from auricle.seeding import generator
from auricle.synth.captions import CAPTIONS
from auricle.synth.kind import Clip, Kind
from auricle.synth.languages import TONGUES
from auricle.synth.musical import MUSICAL
from auricle.synth.people import PEOPLE
from auricle.synth.scenes import SCENES
from auricle.synth.spoken import SPOKEN

VERSION = "v1"
REPOSITORY = "auricle/synthetic"

KINDS: dict[str, Kind] = SPOKEN | TONGUES | PEOPLE | SCENES | MUSICAL | CAPTIONS


def make_clip(task_name: str, *, split: str, index: int) -> Clip:
    """Make one clip of a synthetic task.

    Args:
        task_name: Name of a synthetic task.
        split: ``train`` or ``test``; the two share no random number.
        index: Number of the clip within its split, from 0.

    Raises:
        UnknownNameError: There is no such synthetic task.
    """
    label = label_of(task_name, split=split, index=index)
    return KINDS[task_name].make(generator("synth", VERSION, task_name, split, index), label)


def label_of(task_name: str, *, split: str, index: int) -> str:
    """The label that a clip is made for; "" where a task's text is drawn with the clip.

    Labels are dealt like cards: each occurs once in every deck, in an order of its own. So all are
    equally frequent, and the number of a clip does not tell its label.

    Raises:
        UnknownNameError: There is no such synthetic task.
    """
    if task_name not in KINDS:
        raise UnknownNameError("synthetic task", task_name, KINDS)
    labels = KINDS[task_name].labels
    deck, place = divmod(index, len(labels))
    order = generator("synth", VERSION, task_name, split, "deck", deck)
    return labels[int(order.permutation(len(labels))[place])]
