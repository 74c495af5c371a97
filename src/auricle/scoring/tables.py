"""A table of results as CSV, JSON, Markdown or LaTeX.

Missing values stay visible: empty in CSV, null in JSON, a dash in the others; never zero (law 7).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auricle.errors import UnknownNameError

FORMATS = ("csv", "json", "markdown", "latex")
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Columns and rows of texts and numbers."""

    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]

    def render(self, style: str, *, digits: int = 4) -> str:
        """The table as text with a line end at the end.

        Args:
            style: ``csv``, ``json``, ``markdown`` or ``latex``.
            digits: Decimals of numbers in Markdown and LaTeX; CSV and JSON keep all.

        Raises:
            UnknownNameError: No such style.
        """
        if style == "csv":
            return self._csv()
        if style == "json":
            return self._json()
        if style == "markdown":
            return self._markdown(digits)
        if style == "latex":
            return self._latex(digits)
        raise UnknownNameError("table format", style, FORMATS, f"Known: {', '.join(FORMATS)}.")

    def _csv(self) -> str:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self.columns)
        for row in self.rows:
            values = (row.get(name) for name in self.columns)
            writer.writerow("" if value is None else value for value in values)
        return stream.getvalue()

    def _json(self) -> str:
        rows = [{name: row.get(name) for name in self.columns} for row in self.rows]
        return json.dumps({"rows": rows}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def _markdown(self, digits: int) -> str:
        def cell(value: Any) -> str:
            text = _text(value, digits, "–")
            for sign in ("\\", "|", "`", "*", "_", "<", "["):
                text = text.replace(sign, "\\" + sign)
            return " ".join(text.split())

        rule = ["---:" if self._numeric(name) else "---" for name in self.columns]
        lines = [[cell(name) for name in self.columns], rule]
        lines += [[cell(row.get(name)) for name in self.columns] for row in self.rows]
        return "".join("| " + " | ".join(line) + " |\n" for line in lines)

    def _latex(self, digits: int) -> str:
        """A booktabs table; needs only the package booktabs."""

        def cell(value: Any) -> str:
            text = " ".join(_text(value, digits, "--").split())
            return "--" if text == "--" else "".join(_LATEX.get(sign, sign) for sign in text)

        align = "".join("r" if self._numeric(name) else "l" for name in self.columns)
        lines = [rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
        lines.append(" & ".join(cell(name) for name in self.columns) + r" \\")
        lines.append(r"\midrule")
        for row in self.rows:
            lines.append(" & ".join(cell(row.get(name)) for name in self.columns) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}"]
        return "\n".join(lines) + "\n"

    def _numeric(self, name: str) -> bool:
        values = [row.get(name) for row in self.rows if row.get(name) is not None]
        return bool(values) and all(isinstance(value, int | float) for value in values)


def _text(value: Any, digits: int, missing: str) -> str:
    if value is None:
        return missing
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    if isinstance(value, list | tuple):
        return " to ".join(str(part) for part in value)
    return str(value)


def scores_table(scores: Mapping[str, Any]) -> ResultTable:
    """The tasks of a ``scores.json`` with their means, a row each."""
    columns = ["task", "metric", "score", "low", "high", "chance", "clips", "expected", "failure"]
    rows = [
        {
            "task": name,
            **{key: task[key] for key in ("metric", "score", "low", "high", "chance", "failure")},
            "clips": task["clips_scored"],
            "expected": task["clips_expected"],
        }
        for name, task in scores["tasks"].items()
    ]
    rows += [
        {
            "task": f"mean of track {track}",
            "score": mean["mean"],
            "low": mean["low"],
            "high": mean["high"],
        }
        for track, mean in scores["tracks"].items()
    ]
    return ResultTable(columns, rows)


def board_table(board: Mapping[str, Any]) -> ResultTable:
    """The rows of `rank_board`, with their tasks behind the means."""
    rows = board["rows"]
    tasks = list(rows[0]["scores"]) if rows else []
    known = ("team", "public", "hidden", "overall", "rank", "band", "missing", "scores")
    others = [name for name in rows[0] if name not in known] if rows else []
    columns = ["rank", "band", "team", *others, "overall", "public", "hidden", *tasks]
    flat = [{**row, **row["scores"]} for row in rows]
    return ResultTable(columns, flat)


def comparison_table(comparison: Mapping[str, Any]) -> ResultTable:
    """The verdicts of `compare_runs`, a row per pair and task or track."""
    facts = ("difference", "low", "high", "p_corrected", "verdict", "clips", "more_clips", "reason")
    rows = [
        {
            "left": pair["left"],
            "right": pair["right"],
            "of": name if kind == "tasks" else f"track {name}",
            **{key: entry[key] for key in facts},
        }
        for pair in comparison["pairs"]
        for kind in ("tasks", "tracks")
        for name, entry in pair[kind].items()
    ]
    return ResultTable(["left", "right", "of", *facts], rows)
