"""The page of the layouts of files, from the declarations of their formats."""

from __future__ import annotations

from collections.abc import Iterator

from paidleave.dor.files import returning_csv
from paidleave.dor.files.formats import DOR_LAYOUTS, RETURNING_CSV, SUBMISSION_FILE, FieldType, Format, Layout
from tools.reference.markdown import Section, code, page

_TYPES = {
    FieldType.TEXT: "Text, padded with blanks on the right. A blank field has no value.",
    FieldType.BOOL: "`T` is true. Everything else is false, also a blank.",
    FieldType.DATE: "`YYYYMMDD`, an existing day. Required.",
    FieldType.DATETIME: "`YYYYMMDDHHMMSS`, an existing time in UTC. Required.",
    FieldType.AMOUNT: "Dollars as digits, optionally with a sign and a decimal point, padded on the left. Required.",
    FieldType.OPTIONAL_AMOUNT: "Like an amount. A blank field is 0.",
}
_CSV_COLUMNS = {
    returning_csv.FEIN: "employer identification number, nine digits; required",
    returning_csv.MEDICAL: "`Yes`: the employer remains exempt for medical leave; any other value: not",
    returning_csv.FAMILY: "`Yes`: the employer remains exempt for family leave; any other value: not",
    returning_csv.EFFECTIVE: "last day of the previous exemption, `M/D/YYYY`; can be blank",
    returning_csv.FIRST_QUARTER: "last day of the first quarter to request from DOR, `M/D/YYYY`; required",
}


def render() -> str:
    """Return the page."""
    return page(
        "Layouts of the files",
        "The Department of Revenue (DOR) sends and receives files of lines with a fixed width. Widths and positions "
        "count characters, not bytes: `ë` is one character and two bytes. The text is UTF-8, and the line end is LF or "
        "CR LF. Positions begin with 1, as in an editor.",
        "`paidleave/src/paidleave/dor/files/formats.py`",
        _list_sections(),
        (
            "[Rejection reasons](rejection-reasons.md): what is wrong with a rejected line.",
            "[Explain a file](explain-a-file.md): the outcome of every line, and how to import it after all.",
        ),
    )


def _list_sections() -> Iterator[Section]:
    types = Section("Types of fields")
    types.table(("type", "form"), ((kind.value, form) for kind, form in _TYPES.items()))
    yield types
    for layout in (*DOR_LAYOUTS, SUBMISSION_FILE):
        yield from _describe_layout(layout)
    columns = Section("CSV of employers returning to the state plan")
    columns.text(
        f"The name is `{RETURNING_CSV.pattern}`. The first line has the names of the columns, in any order, with or "
        "without single quotes around them. Other columns are ignored. Each row has as many cells as the first line."
    )
    columns.table(("column", "content"), ((code(name), _CSV_COLUMNS[name]) for name in returning_csv.COLUMNS))
    yield columns


def _describe_layout(layout: Layout) -> Iterator[Section]:
    title = layout.name[0].upper() + layout.name[1:]
    first = Section(title)
    first.text(f"The name is `{layout.pattern}`.")
    if len(layout.formats) == 1:
        _add_format(first, layout.formats[0])
        yield first
        return
    yield first
    for format in layout.formats:
        section = Section(f"{title}: record {format.letter}", level=3)
        _add_format(section, format)
        yield section


def _add_format(section: Section, format: Format) -> None:
    letter = f"begins with `{format.letter}` and " if format.letter else ""
    section.text(f"A line of the record `{format.name}` {letter}has {format.width} characters.")
    rows = []
    for field in format.fields:
        begin = format.offsets[field.name] + 1
        end = begin + field.width - 1
        position = str(begin) if begin == end else f"{begin}–{end}"
        rows.append((code(field.name), position, field.type.value, field.meaning))
    section.table(("field", "position", "type", "meaning"), rows)
