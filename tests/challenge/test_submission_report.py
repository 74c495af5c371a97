"""A report is a real PDF of at most six pages that can be read and does nothing by itself."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pypdf
import pytest
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    FloatObject,
    NameObject,
    NumberObject,
    TextStringObject,
)

from auricle.challenge.report import check_report
from auricle.challenge.report_skeleton import skeleton_pdf
from auricle.challenge.verdicts import Verdict

TEXT = "The encoder was trained on public data, which is listed here with shares. " * 8


def pages(count: int, text: str = TEXT) -> pypdf.PdfWriter:
    writer = pypdf.PdfWriter()
    for _ in range(count):
        writer.append(io.BytesIO(skeleton_pdf(text)))
    return writer


def saved(writer: pypdf.PdfWriter) -> bytes:
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def encrypted() -> bytes:
    writer = pages(1)
    writer.encrypt("secret", algorithm="RC4-128")
    return saved(writer)


def with_script() -> bytes:
    writer = pages(1)
    action = DictionaryObject(
        {
            NameObject("/S"): NameObject("/JavaScript"),
            NameObject("/JS"): TextStringObject("app.alert('hello')"),
        }
    )
    writer._root_object[NameObject("/OpenAction")] = action
    return saved(writer)


def with_file() -> bytes:
    writer = pages(1)
    writer.add_attachment("tool.exe", b"MZ")
    return saved(writer)


def with_launch() -> bytes:
    writer = pages(1)
    action = DictionaryObject(
        {
            NameObject("/S"): NameObject("/Launch"),
            NameObject("/F"): TextStringObject("/bin/sh"),
        }
    )
    writer._root_object[NameObject("/OpenAction")] = action
    return saved(writer)


def with_launch_named_elsewhere() -> bytes:
    """The kind of its action is a reference, which a reader follows."""
    writer = pages(1)
    kind = writer._add_object(NameObject("/Launch"))
    action = DictionaryObject(
        {NameObject("/S"): kind, NameObject("/F"): TextStringObject("/bin/sh")}
    )
    writer._root_object[NameObject("/OpenAction")] = action
    return saved(writer)


def with_xfa() -> bytes:
    writer = pages(1)
    form = DictionaryObject({NameObject("/XFA"): TextStringObject("<xdp/>")})
    writer._root_object[NameObject("/AcroForm")] = form
    return saved(writer)


def link(address: str) -> DictionaryObject:
    return DictionaryObject(
        {NameObject("/S"): NameObject("/URI"), NameObject("/URI"): TextStringObject(address)}
    )


def with_address_opened_unasked() -> bytes:
    writer = pages(1)
    writer.pages[0][NameObject("/AA")] = DictionaryObject(
        {NameObject("/O"): writer._add_object(link("http://example.org"))}
    )
    return saved(writer)


def huge_page() -> bytes:
    writer = pages(1)
    box = ArrayObject([FloatObject(0), FloatObject(0), FloatObject(600), FloatObject(14_000)])
    writer.pages[0][NameObject("/MediaBox")] = box
    return saved(writer)


def lying_count() -> bytes:
    """A page tree that says one page and holds eight."""
    writer = pages(8)
    writer._root_object["/Pages"][NameObject("/Count")] = NumberObject(1)
    return saved(writer)


def endless_tree() -> bytes:
    data = skeleton_pdf(TEXT)
    return data.replace(b"/Kids [5 0 R]", b"/Kids [2 0 R]")


def swelling_stream() -> bytes:
    """A page of a few kilobytes whose content unpacks to 300 megabytes."""
    import zlib

    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    content = b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (
        len(packed),
        packed,
    )
    data = skeleton_pdf(TEXT)
    start = data.index(b"6 0 obj\n") + len(b"6 0 obj\n")
    return data[:start] + content + data[data.index(b"\nendobj", start) :]


BAD: dict[str, tuple[Callable[[], bytes], Verdict, str]] = {
    "seven pages": (lambda: saved(pages(7)), Verdict.REPORT_TOO_LONG, "has 7 pages"),
    "a lying count": (lying_count, Verdict.REPORT_TOO_LONG, "has 8 pages"),
    "a huge page": (huge_page, Verdict.REPORT_TOO_LONG, "measures 14000 points"),
    "no text": (lambda: saved(pages(1, "x")), Verdict.REPORT_INVALID, "characters of text"),
    "encrypted": (encrypted, Verdict.REPORT_INVALID, "is encrypted"),
    "a script": (with_script, Verdict.REPORT_ACTIVE, "JavaScript"),
    "an attachment": (with_file, Verdict.REPORT_ACTIVE, "embedded file"),
    "a command": (with_launch, Verdict.REPORT_ACTIVE, "a command to launch"),
    "a command by reference": (
        *(with_launch_named_elsewhere, Verdict.REPORT_ACTIVE),
        "a command to launch",
    ),
    "a form's code": (with_xfa, Verdict.REPORT_ACTIVE, "a form with code of its own"),
    "an address": (
        *(with_address_opened_unasked, Verdict.REPORT_ACTIVE),
        "an address that is opened unasked",
    ),
    "a word file": (lambda: b"PK\x03\x04 word", Verdict.REPORT_INVALID, "is no PDF"),
    "nothing": (lambda: b"", Verdict.REPORT_INVALID, "is no PDF"),
    "a first line alone": (lambda: b"%PDF-1.7\n", Verdict.REPORT_INVALID, "cannot be read"),
    "half a file": (lambda: saved(pages(2))[:700], Verdict.REPORT_INVALID, ""),
    "an endless tree": (endless_tree, Verdict.REPORT_INVALID, ""),
    "a swelling stream": (swelling_stream, Verdict.REPORT_INVALID, ""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_report_is_refused(name: str, tmp_path: Path) -> None:
    build, verdict, text = BAD[name]
    path = tmp_path / "report.pdf"
    path.write_bytes(build())
    problems = check_report(path)
    assert verdict in {problem.verdict for problem in problems}, problems
    assert text in "\n".join(problem.message for problem in problems)


@pytest.mark.parametrize("count", [1, 6])
def test_up_to_six_pages_are_good(count: int, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(saved(pages(count)))
    assert check_report(path) == []


def test_a_missing_report_is_told(tmp_path: Path) -> None:
    (problem,) = check_report(tmp_path / "report.pdf")
    assert problem.verdict is Verdict.REPORT_MISSING


def test_a_link_to_the_web_is_no_active_content(tmp_path: Path) -> None:
    from pypdf.annotations import Link

    writer = pages(1)
    writer.add_annotation(0, Link(rect=(0, 0, 9, 9), url="https://example.org"))
    path = tmp_path / "report.pdf"
    path.write_bytes(saved(writer))
    assert check_report(path) == []
