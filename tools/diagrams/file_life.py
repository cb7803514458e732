"""The life of a file from DOR: its states, from the states that the import documents, and its folders."""

from __future__ import annotations

from paidleave.dor.files.formats import DOR_LAYOUTS, WAGE_FILE
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.settings import DorImportSettings
from tools.diagrams.figure import Box, Edge, Figure, Panel

_BUCKET = "s3://BUCKET/"
_FILE = ReceivedFile(f"{_BUCKET}dor/received", "NAME", WAGE_FILE)


def setting(name: str) -> str:
    """Return the variable of a setting; raises KeyError if there is none of this name."""
    DorImportSettings.model_fields[name]
    return name.upper()


def build() -> Figure:
    """Return the figure."""
    uris = _FILE.folder, _FILE.build_processed_uri(1), _FILE.build_rejected_uri(1)
    folder, processed, rejected = (uri.removeprefix(_BUCKET) for uri in uris)
    boxes = [
        Box("upload", "upload by DOR", tuple(layout.pattern for layout in DOR_LAYOUTS), "start"),
        Box("received", f"{folder}/", ("all files that wait",), "strong"),
        Box("unread", "not read", ("name of no job's kind;", "paidleave-check lists it"), "bad"),
        Box("found", "found", ("a run lists the folder",)),
        Box("older", "refused", ("a newer file was imported;", "remains in place"), "bad"),
        Box("opened", "opened", ("decrypted as a stream",)),
        Box("staged", "staged", ("each line is accepted", "or rejected")),
        Box("failed", "failed", ("nothing is imported;", "remains in place"), "bad"),
        Box("known", "known", ("this content was", "imported before"), "idle"),
        Box("applied", "applied", ("SQL steps write the tables",)),
        Box("committed", "committed", ("one transaction",)),
        Box("moved", processed, ("the version that was read",), "good"),
        Box("rejected", rejected, ("and dor_rejected_line",), "strong"),
        Box("replay", "replay", ("the lines that are", "accepted now"), "start"),
    ]
    edges = [
        Edge("upload", "received"),
        Edge("received", "unread", "other name"),
        Edge("received", "found", f"unchanged for {setting('quiet_seconds')}\n(plain files in folders)"),
        Edge("found", "older", "older wage file"),
        Edge("found", "opened"),
        Edge("opened", "staged"),
        Edge("opened", "failed", kind="failure"),
        Edge("staged", "failed", "too many rejected lines", "failure"),
        Edge("staged", "known", "same digest"),
        Edge("staged", "applied"),
        Edge("staged", "rejected", "rejected lines"),
        Edge("applied", "committed"),
        Edge("committed", "moved"),
        Edge("known", "moved"),
        Edge("rejected", "replay", f"{setting('replay')}=NAME"),
        Edge("replay", "committed"),
    ]
    return Figure("file-life", "The life of a file from DOR", "", [Panel(boxes, edges)], gap_y=26)
