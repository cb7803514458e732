"""The page of the reasons for rejected records, from the reports that the catalog declares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nightferry import ReportKind
from paidleave.catalog import catalog
from tools.reference.markdown import Section, page

_NEXT_STEPS = {
    "unknown account key": "First check whether the employer's line was rejected or is in a later file. When the "
    "employer is imported, [replay](explain-a-file.md#replay-rejected-lines) the lines. Ask only if no file has the "
    "employer.",
    "no usable employer line before it": "First correct the A line. Its B lines come with it.",
}

_SHORT_TITLES = {"returning-employers-csv": "CSV", "fineos-employee-updates": "employee updates"}
"""What makes a heading unique on the page if the same text is a reason in several groups."""


def render() -> str:
    """Return the page."""
    return page(
        "Rejection reasons",
        "A rejected line or row is not imported. The other lines of its file are imported. This page has the meaning "
        "of each reason, an example, and the request to send. The examples are fictitious, and a reason never contains "
        "a value of the line.",
        "`paidleave/src/paidleave/catalog/reports.py`",
        (section for kinds in _group_kinds() for section in _describe_kinds(kinds)),
        (
            "[Explain a file](explain-a-file.md): find the rejected lines of a file, and replay them.",
            "[Layouts of the files](file-layouts.md): the position of each field.",
            "[Failed and missing files](failed-files.md): a file that was not imported as a whole.",
        ),
    )


def _group_kinds() -> list[list[ReportKind]]:
    """Return the kinds of reports that reject records, those with the same reasons together."""
    groups: list[list[ReportKind]] = []
    for kind in catalog.reports.values():
        same = next((group for group in groups if group[0].reasons == kind.reasons), None)
        if same is not None:
            same.append(kind)
        elif kind.reasons:
            groups.append([kind])
    return groups


def _describe_kinds(kinds: Sequence[ReportKind]) -> Iterator[Section]:
    first, is_shared = kinds[0], len(kinds) > 1
    group = Section("Files from DOR" if is_shared else first.title)
    titles = ", ".join(f"*{kind.title}*" for kind in kinds)
    group.text(f"The dashboard shows {'these files as' if is_shared else 'this file as'} {titles}.")
    yield group
    for reason in first.reasons:
        section = Section(reason.text if is_shared else f"{reason.text} ({_SHORT_TITLES[first.name]})", level=3)
        section.text(reason.meaning)
        section.text(f"- Example: {reason.example}\n- Ask {first.sender}: “{reason.request}”")
        section.text(_NEXT_STEPS.get(reason.text, ""))
        yield section
