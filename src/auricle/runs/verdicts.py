"""Which of several runs is better, and which encoder: ``auricle compare``.

Runs that differ in nothing but their seed are one encoder's measurement. Two runs are compared on
the luck of the clips; two encoders, where each has several seeds, on clips and seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from auricle.files import sha256_json
from auricle.runs.compare import differences, labels_of, read_runs, run_answers
from auricle.runs.folder import RunFolder
from auricle.runs.report_facts import RunFacts
from auricle.scoring.compare import compare_runs
from auricle.scoring.encoders import Encoder, compare_encoders


def compare(runs: Sequence[RunFolder | Path | str]) -> dict[str, Any]:
    """Compare runs, and encoders where several runs are seeds of one.

    Args:
        runs: Two or more run folders.

    Returns:
        ``{"pairs", "encoders", "differences"}``: what `auricle.scoring.compare.compare_runs`
        says; what `auricle.scoring.encoders.compare_encoders` says, None where no two runs are
        seeds of one encoder; and the facts, ``{"name", "values"}`` with a value per run, in which
        the runs differ besides their encoders (and their seeds, where those are combined).

    Raises:
        ScoringError: Fewer than two runs were given, one was given twice, or a file of one cannot
            be read.
    """
    folders = [run if isinstance(run, RunFolder) else RunFolder.open(run) for run in runs]
    facts = read_runs(folders)
    answers = [run_answers(*pair) for pair in zip(facts, labels_of(facts), strict=True)]
    found = compare_runs(answers)
    groups = seeds_of_encoders(facts)
    names = labels_of(
        [facts[group[0]] for group in groups], of_seeds=[len(group) > 1 for group in groups]
    )
    encoders = [
        Encoder(name, [answers[place] for place in group], [facts[place].scores for place in group])
        for name, group in zip(names, groups, strict=True)
    ]
    several = any(len(group) > 1 for group in groups)
    over_seeds = compare_encoders(encoders) if several else None
    differing = differences(facts, over_seeds)
    return {**found, "encoders": over_seeds, "differences": [asdict(d) for d in differing]}


def seeds_of_encoders(runs: Sequence[RunFacts]) -> list[list[int]]:
    """Places of the runs that differ in nothing but their seed, groups in order of appearance.

    Two runs of one seed are no two seeds: the later one makes a group of its own.
    """
    groups: dict[str, list[int]] = {}
    for place, run in enumerate(runs):
        facts = run.manifest
        stored = facts.to_json()
        same = {name: stored.get(name) for name in ("mixture", "test", "recipe")}
        key = sha256_json({**same, "encoder": [run.encoder, facts.encoder.content_hash]})
        seeds = {runs[other].manifest.seed for other in groups.get(key, [])}
        if facts.seed in seeds:
            key = f"{key} {place}"
        groups.setdefault(key, []).append(place)
    return list(groups.values())
