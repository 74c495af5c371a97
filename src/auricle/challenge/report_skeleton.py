"""Turns the template's short Markdown into a PDF: enough of the format for a page of plain text.

Written by hand because a report skeleton needs a heading and paragraphs in a standard font, and
because the same text must give the same bytes.
"""

from __future__ import annotations

import textwrap

_WIDTH, _HEIGHT, _MARGIN = 595, 842, 64  # A4, in points
_HEADING, _TEXT = (15, 26), (10.5, 15)  # size and distance of lines
_COLUMNS = 88


def skeleton_pdf(markdown: str) -> bytes:
    """Set a text with headings (``#``) and paragraphs on A4 pages.

    Args:
        markdown: ASCII text.

    Returns:
        A PDF 1.4 file.
    """
    pages = _lay_out(markdown)
    count = len(pages)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{' '.join(f'{5 + 2 * i} 0 R' for i in range(count))}] "
        f"/Count {count} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
    ]
    for index, content in enumerate(pages):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_WIDTH} {_HEIGHT}] /Contents "
            f"{6 + 2 * index} 0 R /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    return _write(objects)


def _lay_out(markdown: str) -> list[bytes]:
    pages: list[bytes] = []
    lines: list[str] = []
    height = float(_HEIGHT - _MARGIN)
    for paragraph in markdown.strip().split("\n\n"):
        heading = paragraph.startswith("#")
        size, step = _HEADING if heading else _TEXT
        text = paragraph.lstrip("#").strip()
        for line in textwrap.wrap(" ".join(text.split()), _COLUMNS) or [""]:
            if height < _MARGIN:
                pages.append("\n".join(lines).encode("ascii"))
                lines, height = [], float(_HEIGHT - _MARGIN)
            escaped = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
            font = "F2" if heading else "F1"
            lines.append(f"BT /{font} {size} Tf {_MARGIN} {height:g} Td ({escaped}) Tj ET")
            height -= step
        height -= 6
    return [*pages, "\n".join(lines).encode("ascii")]


def _write(objects: list[bytes]) -> bytes:
    data = b"%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    return data + b"startxref\n%d\n%%%%EOF\n" % start
