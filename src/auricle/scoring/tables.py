"""A table of results as CSV, JSON, Markdown or LaTeX.

Missing values stay visible: empty in CSV, null in JSON, a dash in the others; never zero (law 7).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auricle.errors import UnknownNameError, printable
from auricle.records.comparison import Comparison, Encoders, Pair
from auricle.records.scores import Scored

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
    # These print as other signs in LaTeX's old font encoding.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textasciigrave{}",
    "\N{REPLACEMENT CHARACTER}": "?",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
# In the order in which they are applied: signs of Markdown, entities, links and mentions.
_MARKDOWN = [
    (r"([\\|`*_<\[$~])", r"\\\1"),
    (r"&(?=#?\w+;)", r"\\&"),
    (r"://", r"\\://"),
    (r"(?i)\b(www)\.", r"\1\\."),
    (r"@(?=\w)", "@<!-- -->"),
]


def spreadsheet_text(text: str) -> str:
    """A cell's text; one that a spreadsheet would take for a formula begins with an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", text, re.ASCII) is not None


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Columns and rows of texts and numbers."""

    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    titles: Mapping[str, str] | None = None
    """The columns that people are shown, with what stands above them; None for all as they are."""

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
        writer.writerow(map(spreadsheet_text, self.columns))
        for row in self.rows:
            values = (row.get(name) for name in self.columns)
            writer.writerow(spreadsheet_text(v) if isinstance(v, str) else v for v in values)
        return stream.getvalue()

    def _json(self) -> str:
        rows = [{name: row.get(name) for name in self.columns} for row in self.rows]
        return json.dumps({"rows": rows}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def _markdown(self, digits: int) -> str:
        def cell(value: Any, name: str = "") -> str:
            text = _cell_text(name, value, digits, "–")
            for pattern, instead in _MARKDOWN:
                text = re.sub(pattern, instead, text)
            return text

        titles = self.shown_titles()
        rule = ["---:" if self.is_numeric(name) else "---" for name in titles]
        lines = [[cell(title) for title in titles.values()], rule]
        lines += [[cell(row.get(name), name) for name in titles] for row in self.rows]
        return "".join("| " + " | ".join(line) + " |\n" for line in lines)

    def _latex(self, digits: int) -> str:
        """A booktabs table; needs only the package booktabs."""

        def cell(value: Any, name: str = "") -> str:
            text = _cell_text(name, value, digits, "--")
            return "--" if text == "--" else "".join(_LATEX.get(sign, sign) for sign in text)

        titles = self.shown_titles()
        align = "".join("r" if self.is_numeric(name) else "l" for name in titles)
        lines = [rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
        lines.append(" & ".join(cell(title) for title in titles.values()) + r" \\")
        lines.append(r"\midrule")
        for row in self.rows:
            lines.append(" & ".join(cell(row.get(name), name) for name in titles) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}"]
        return "\n".join(lines) + "\n"

    def shown_titles(self) -> Mapping[str, str]:
        """The columns that people are shown, with their titles."""
        return self.titles or {name: name for name in self.columns}

    def texts(self, digits: int) -> list[list[str]]:
        """What stands below the titles, a list per row."""
        names = list(self.shown_titles())
        return [
            [_cell_text(name, row.get(name), digits, "–") for name in names] for row in self.rows
        ]

    def is_numeric(self, name: str) -> bool:
        """Whether a column holds numbers alone, besides what is missing."""
        values = [row.get(name) for row in self.rows if row.get(name) is not None]
        return bool(values) and all(isinstance(value, int | float) for value in values)


P_VALUE = "p_corrected"


def p_text(value: float, digits: int) -> str:
    """A p value in so many digits; one that would be zero in them is smaller than the last."""
    least = 10.0**-digits
    return f"<{least:.{digits}f}" if value < least else f"{value:.{digits}f}"


def _cell_text(name: str, value: Any, digits: int, missing: str) -> str:
    if value is None:
        return missing
    if name == P_VALUE:
        return p_text(value, digits)
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    if isinstance(value, list | tuple):
        return " to ".join(str(part) for part in value)
    return printable(" ".join(str(value).split()))


def metric_table(report: Mapping[str, Any]) -> ResultTable:
    """What `score_file` reports but the values per clip, a row per number."""

    def text(value: Any) -> str:
        return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)

    facts = {name: text(report[name]) for name in ("metric", "raw", "score", "reason")}
    facts["score"] = facts["score"] or "missing"
    if report["low"] is not None:
        facts["95 % interval"] = f"{report['low']:.4f} to {report['high']:.4f}"
        facts["interval"] = report["interval"]["note"] or report["interval"]["method"]
    facts |= {f"corrected: {name}": text(v) for name, v in (report["corrected"] or {}).items()}
    facts |= {name: text(report[name]) for name in ("chance", "chance_corrected")}
    facts |= {k: text(v) for k, v in report["detail"].items() if isinstance(v, int | float)}
    facts |= {name: text(report[name]) for name in ("num_clips", "num_samples")}
    rows = [
        {"field": name.replace("_", " "), "value": value} for name, value in facts.items() if value
    ]
    return ResultTable(["field", "value"], rows)


def scores_table(scores: Scored) -> ResultTable:
    """The tasks of a ``scores.json`` with their means, a row each."""
    columns = ["task", "metric", "score", "low", "high", "chance", "clips", "expected", "failure"]
    rows = [
        {
            "task": name,
            "metric": task.metric,
            "score": task.score,
            "low": task.low,
            "high": task.high,
            "chance": task.chance,
            "failure": task.failure,
            "clips": task.clips_scored,
            "expected": task.clips_expected,
        }
        for name, task in scores.tasks.items()
    ]
    rows += [
        {
            "task": f"mean of track {track}",
            "score": mean.mean,
            "low": mean.low,
            "high": mean.high,
        }
        for track, mean in scores.tracks.items()
    ]
    return ResultTable(columns, rows)


def board_table(board: Mapping[str, Any]) -> ResultTable:
    """The rows of `rank_board`, with their tasks behind the means."""
    rows = board["rows"]
    tasks = list(rows[0]["scores"]) if rows else []
    known = ("team", "public", "hidden", "overall", "rank", "band", "missing", "reason", "scores")
    # Files may have columns of their own; who ranks first does not decide.
    others = [name for name in dict.fromkeys(n for row in rows for n in row) if name not in known]
    columns = ["rank", "band", "team", *others, "overall", "public", "hidden", *tasks]
    flat = [{**row, **row["scores"]} for row in rows]
    return ResultTable(columns, flat)


def comparison_table(found: Comparison) -> ResultTable:
    """The verdicts of a comparison, a row per pair and task or track.

    One encoder's seeds alone make no pair; the table is `seeds_table` then.
    """
    shown = [(name, suite.shown_pairs) for name, suite in found.suites]
    if not any(pairs for _, pairs in shown) and found.own.encoders is not None:
        return seeds_table(found.own.encoders)
    return pairs_table(shown)


def pairs_table(suites: Sequence[tuple[str, Sequence[Pair]]]) -> ResultTable:
    """Pairs of runs or encoders, a row per pair and task or track.

    Args:
        suites: By suite; the runs' own has no name, and where it is alone there is no such column.
    """
    facts = ["left", "right", "difference", "low", "high", P_VALUE, "verdict", "clips"]
    facts += ["more_clips", "more_seeds", "reason"]
    rows = [
        {
            "suite": suite,
            "run": pair.left,
            "against": pair.right,
            "task": name,
            **{fact: getattr(entry, fact) for fact in facts},
        }
        for suite, pairs in suites
        for pair in pairs
        for name, entry in pair.entries()
    ]
    titles = {"suite": "suite", "run": "run", "against": "against", "task": "task"}
    titles |= {"left": "run's", "right": "other's", "difference": "difference"}
    titles |= {"low": "low", "high": "high", P_VALUE: "p (Holm)", "verdict": "run is"}
    sides = {(pair.left, pair.right) for _, pairs in suites for pair in pairs}
    if len(sides) == 1:
        ((left, right),) = sides
        titles |= {"left": left, "right": right, "verdict": f"{left} is"}
        del titles["run"], titles["against"]
    columns = ["suite", "run", "against", "task", *facts]
    if not any(name for name, _ in suites):
        columns.remove("suite")
        del titles["suite"]
    return ResultTable(columns, rows, titles)


def seeds_table(encoders: Encoders, *, tracks_alone: bool = False) -> ResultTable:
    """Each encoder's seeds combined, a row per task and track.

    Args:
        encoders: What was measured of them.
        tracks_alone: Leave the tasks out.
    """
    rows = [
        {
            "encoder": encoder.name,
            "task": name,
            "mean": entry.value,
            "low": entry.low,
            "high": entry.high,
            "seed sd": entry.seed_sd,
            "seeds": entry.seeds,
        }
        for encoder in encoders.measured
        for name, entry in encoder.entries()
        if not tracks_alone or name not in encoder.tasks
    ]
    return ResultTable(["encoder", "task", "mean", "low", "high", "seed sd", "seeds"], rows)
