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


def of(**entries: object) -> DictionaryObject:
    """A dictionary of the format: ``S="/URI"`` is a name, other texts are texts."""
    found = DictionaryObject()
    for key, value in entries.items():
        text = str(value)
        kind = NameObject if text.startswith("/") else TextStringObject
        entry = kind(text) if isinstance(value, str) else value
        found[NameObject(f"/{key.removeprefix('_')}")] = entry  # type: ignore[index]
    return found


def in_root(**entries: object) -> Callable[[], bytes]:
    def build() -> bytes:
        writer = pages(1)
        writer._root_object.update(of(**entries))
        return saved(writer)

    return build


def on_page(**entries: object) -> Callable[[], bytes]:
    """A page with one annotation."""

    def build() -> bytes:
        writer = pages(1)
        box = ArrayObject([FloatObject(place) for place in (0, 0, 9, 9)])
        note = writer._add_object(of(Type="/Annot", Rect=box, **entries))
        writer.pages[0][NameObject("/Annots")] = ArrayObject([note])
        return saved(writer)

    return build


def click(action: DictionaryObject) -> Callable[[], bytes]:
    return on_page(Subtype="/Link", A=action)


def after(kind: str, times: int, **entries: object) -> DictionaryObject:
    """An action behind so many jumps."""
    action = of(S=kind, **entries)
    for _ in range(times):
        action = of(S="/GoTo", D="here", Next=action)
    return action


SCRIPT = {"JS": "app.alert(1)"}
ACTIVE: dict[str, tuple[Callable[[], bytes], str]] = {
    "an attachment without a type": (
        in_root(Names=of(Files=of(Names=ArrayObject([of(EF=of(F=of(Length=NumberObject(0))))])))),
        "an embedded file",
    ),
    "associated files": (in_root(AF=ArrayObject([of(F="tool.exe")])), "an embedded file"),
    "an attachment on a page": (on_page(Subtype="/FileAttachment", FS=of(F="x")), "embedded file"),
    "a portfolio": (in_root(Collection=of(View="/D")), "an embedded file"),
    "a script after a jump": (click(after("/JavaScript", 1, **SCRIPT)), "JavaScript"),
    "a script after two jumps": (
        in_root(OpenAction=after("/JavaScript", 2, **SCRIPT)),
        "JavaScript",
    ),
    "an address after two jumps": (
        in_root(OpenAction=after("/URI", 2, URI="https://example.org")),
        "opened unasked",
    ),
    "an address in a list that follows": (
        in_root(
            OpenAction=of(S="/GoTo", D="here", Next=ArrayObject([link("https://example.org")]))
        ),
        "opened unasked",
    ),
    "actions without end": (
        in_root(OpenAction=after("/GoTo", 150, D="here")),
        "more actions in a row",
    ),
    "printing unasked": (in_root(OpenAction=of(S="/Named", N="/Print")), "an action that is no"),
    "turning a page unasked": (
        in_root(OpenAction=of(S="/Named", N="/NextPage")),
        "an action that is no",
    ),
    "printing by a click": (click(of(S="/Named", N="/Print")), "an action that is no jump"),
    "hiding": (click(of(S="/Hide", T="field")), "an action that is no jump"),
    "an action of no known kind": (click(of(S="/Whatever")), "an action that is no jump"),
    "a 3D drawing": (on_page(Subtype="/3D"), "embedded media"),
    "a 3D drawing with a script": (
        on_page(Subtype="/Link", _3DD=of(OnInstantiate=of(Length=NumberObject(0)))),
        "JavaScript, embedded media",
    ),
    "media": (on_page(Subtype="/RichMedia", RichMediaContent=of()), "embedded media"),
    "a screen": (on_page(Subtype="/Screen"), "embedded media"),
    "another document": (click(of(S="/GoToR", F="other.pdf")), "another file to open"),
    "a stream that lies elsewhere": (
        lambda: skeleton_pdf(TEXT).replace(b"<< /Length ", b"<< /F (/etc/passwd) /Length ", 1),
        "another file to open",
    ),
    "a base that is a file": (in_root(URI=of(Base="file:///etc/")), "none of the web"),
    **{
        f"the address {address[:20]!r}": (click(link(address)), "none of the web")
        for address in (
            *("javascript:alert(1)", "JaVaScRiPt:alert(1)", " java\nscript:alert(1)"),
            *("data:text/html,<script>", "file:///etc/passwd", "FILE:/x", "vbscript:x"),
            *("C:\\windows\\x.exe", "\\\\server\\share", "//server/share", "../../x.exe"),
            *(
                "ms-msdt:/id",
                "smb://server/x",
                "blob:x",
                "view-source:file:///x",
                "\u0001file:///x",
            ),
        )
    },
}


@pytest.mark.parametrize("name", ACTIVE)
def test_an_active_report_is_refused(name: str, tmp_path: Path) -> None:
    build, text = ACTIVE[name]
    path = tmp_path / "report.pdf"
    path.write_bytes(build())
    (problem,) = check_report(path)
    assert problem.verdict is Verdict.REPORT_ACTIVE
    assert text in problem.message


def tagged() -> bytes:
    """As word processors write: structure with attributes, a group, a transition, an intent."""
    writer = pages(1)
    element = of(Type="/StructElem", S="/Link", A=of(O="/Layout", Placement="/Block"))
    group = of(S="/Transparency", CS="/DeviceRGB")
    writer._root_object.update(
        of(
            StructTreeRoot=of(Type="/StructTreeRoot", K=element),
            OutputIntents=ArrayObject([of(S="/GTS_PDFA1", OutputConditionIdentifier="sRGB")]),
            OpenAction=ArrayObject([writer.pages[0].indirect_reference, NameObject("/Fit")]),
        )
    )
    writer.pages[0].update(of(Group=group, Trans=of(S="/R")))
    return saved(writer)


INNOCENT: dict[str, Callable[[], bytes]] = {
    "structure, groups, transitions": tagged,
    "a jump when it is opened": in_root(OpenAction=of(S="/GoTo", D="here")),
    "two jumps": click(after("/GoTo", 1, D="there")),
    "turning a page": click(of(S="/Named", N="/NextPage")),
    "a base on the web": in_root(URI=of(Base="https://example.org/")),
    **{
        f"the address {address}": click(link(address))
        for address in (
            *("https://doi.org/10.1/x", "http://example.org:8080/a?b=javascript:c#d"),
            *("mailto:owls@example.org", "www.example.org/paper", "doi:10.1/x", "HTTPS://X.ORG"),
        )
    },
}


@pytest.mark.parametrize("name", INNOCENT)
def test_what_a_report_may_hold(name: str, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(INNOCENT[name]())
    assert check_report(path) == []


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
