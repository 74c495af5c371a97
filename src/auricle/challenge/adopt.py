"""A repository in the challenge's 2026 form made a submission: what is there, what is missing.

The challenge of 2026 took a ZIP of a whole repository, with a wrapped encoder and a PDF somewhere
in it. Here is looked, without running anything, for what of that can be known; the rest is left
empty in ``submission.yaml``, so that ``auricle pack`` asks for it.
"""

from __future__ import annotations

import ast
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

from auricle.challenge.bundle import list_folder
from auricle.challenge.new import TEMPLATE
from auricle.challenge.report import MAX_PAGES
from auricle.challenge.submission import FILE_NAME
from auricle.challenge.verdicts import shown
from auricle.errors import UserError
from auricle.files import write_text

_WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".onnx", ".npz", ".pt2")
_MAX_SOURCE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Repository:
    """What was found in a repository without a declaration."""

    encoders: tuple[str, ...]
    """``file.py:Class`` of every class whose name ends in Encoder."""
    reports: tuple[str, ...]
    """Its PDFs, the likeliest report first."""
    weights: tuple[str, ...]
    has_requirements: bool
    missing: tuple[str, ...]
    """What a submission needs beyond that, a sentence each."""

    def draft(self) -> str:
        """A declaration with what is known filled in, the rest empty."""
        encoder = self.encoders[0] if self.encoders else ""
        others = f"   # or: {', '.join(self.encoders[1:6])}" if len(self.encoders) > 1 else ""
        source = "inside" if self.weights else ""
        return (
            "# Written by 'auricle new --adopt' from what the repository shows. Fill in what is\n"
            "# empty; 'auricle pack' tells what is still missing. Format: docs/submitting.md\n"
            "schema: 1\nteam:\nmembers: []\ncontact:\n\n"
            f"encoder: {encoder}{others}\narguments: {{}}\ntracks: [a, b]\n\n"
            f"weights:\n  source: {source}            # inside, fetched or none\n"
            f"  files: {json.dumps(list(self.weights), ensure_ascii=False)}\n  urls: []\n\n"
            "# name, source (public address or 'organisers'), licence, hours, share in percent\n"
            "training_data:\nparameters:\nhardware:\n\n"
            f"report: {self.reports[0] if self.reports else 'report.pdf'}\n"
        )


def examine_repository(folder: Path) -> Repository:
    """Look at a repository's files; no line of its code is run."""
    files = list_folder(folder).files
    encoders = tuple(
        f"{name}:{each}"
        for name in sorted(files, key=lambda name: (name.count("/"), name))
        if name.endswith(".py")
        for each in _encoder_classes(folder / name)
    )
    reports = sorted(
        (name for name in files if name.lower().endswith(".pdf")),
        key=lambda name: ("report" not in name.lower(), name.count("/"), name),
    )
    has_requirements = "requirements.txt" in files
    missing = [f"{FILE_NAME}: team, members, contact, encoder, training data with shares"]
    if not encoders:
        missing.append("a class whose name ends in 'Encoder', in a Python file")
    if not reports:
        missing.append(f"a technical report as PDF, at most {MAX_PAGES} pages")
    if not has_requirements:
        missing.append("requirements.txt: the packages that the encoder imports")
    return Repository(
        encoders=encoders,
        reports=tuple(reports),
        weights=tuple(name for name in files if name.lower().endswith(_WEIGHTS))[:1000],
        has_requirements=has_requirements,
        missing=tuple(missing),
    )


def adopt_repository(folder: Path) -> tuple[Repository, list[Path]]:
    """Write what a repository lacks to be a submission; nothing that is there is touched.

    Returns:
        What was found, and the files that were written.

    Raises:
        UserError: It is no folder, or already has a declaration.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder. Name the repository's folder.")
    if (folder / FILE_NAME).exists():
        raise UserError(
            f"{folder / FILE_NAME} is there already. Continue with: auricle pack {folder}"
        )
    found = examine_repository(folder)
    written = [folder / FILE_NAME]
    write_text(folder / FILE_NAME, found.draft())
    if not found.has_requirements:
        text = (TEMPLATE / "requirements.txt").read_text(encoding="utf-8")
        write_text(folder / "requirements.txt", text)
        written.append(folder / "requirements.txt")
    return found, written


def _encoder_classes(path: Path) -> list[str]:
    """Classes of a stranger's file, read as text."""
    try:
        if path.stat().st_size > _MAX_SOURCE_BYTES:
            return []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the stranger's escapes, not ours
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
        return []
    return [
        shown(node.name)
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and node.name.endswith("Encoder")
        and not node.name.startswith("_")
        and node.bases
    ]
