"""The life of a file from DOR: the states of its import and the folders.

The states are those in the docstring of ``file_import``. The order of the steps is that of the calls in the code, and
folders, settings and file names are those of the code, so that a change of them cannot leave the figure wrong.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator

from paidleave.dor.files.formats import DOR_LAYOUTS, WAGE_FILE
from paidleave.dor.importing import file_import
from paidleave.dor.importing.file_import import FileImport
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.settings import DorImportSettings
from tools.diagrams.figure import Box, Edge, Figure, Panel

_BUCKET = "s3://BUCKET/"
_FILE = ReceivedFile(f"{_BUCKET}dor/received", "NAME", WAGE_FILE)
_STEPS = [
    ("await_complete", "found"),
    ("_check_order", "older"),
    ("open_transaction", "opened"),
    ("_stage", "staged"),
    ("_skip", "known"),
    ("apply", "applied"),
    ("_record_import", "committed"),
    ("move_to_processed", "moved"),
]
"""The calls that lead to the states, in their order."""


def build() -> Figure:
    """Return the figure."""
    check_states()
    uris = _FILE.folder, _FILE.build_processed_uri(1), _FILE.build_processed_uri(2), _FILE.build_rejected_uri(1)
    folder, processed, second, rejected = (uri.removeprefix(_BUCKET) for uri in uris)
    boxes = [
        Box("upload", "DOR sends a file", tuple(layout.pattern for layout in DOR_LAYOUTS), "start"),
        Box("received", f"{folder}/", (), "strong"),
        Box("unread", "not read", ("paidleave-check reports it",), "bad"),
        Box("found", "found", ("by the job of its kind",)),
        Box("older", "refused", ("remains in place", "until a decision"), "bad"),
        Box("opened", "opened", ("decrypted as a stream",)),
        Box("staged", "staged", ("each line is accepted", "or rejected")),
        Box("failed", "failed", ("imports nothing; remains in", "place for the next run"), "bad"),
        Box("known", "known", ("is only moved",), "idle"),
        Box("applied", "applied", ("SQL steps write the tables",)),
        Box("committed", "committed", ("all lines in one transaction",), "good"),
        Box("moved", processed, (f"a second content: {second.rpartition('/')[2]}",), "strong"),
        Box("rejected", rejected, ("reasons in dor_rejected_line",), "strong"),
        Box("replay", "replay", ("only the lines that", "are accepted now"), "start"),
    ]
    edges = [
        Edge("upload", "received"),
        Edge("received", "unread", "name of no kind"),
        Edge("received", "found", f"complete; without encryption,\nunchanged for {_setting('quiet_seconds')}"),
        Edge("found", "opened"),
        Edge("found", "older", "a newer wage file\nwas imported", "failure"),
        Edge("opened", "failed", "cannot be decrypted,\nor above a limit", "failure"),
        Edge("opened", "staged"),
        Edge("staged", "failed", f"above\n{_setting('rejected_share_limit')}", "failure"),
        Edge("staged", "applied", "accepted lines"),
        Edge("staged", "rejected", "rejected lines"),
        Edge("staged", "known", "its content was\nimported before"),
        Edge("applied", "committed"),
        Edge("committed", "moved"),
        Edge("known", "moved"),
        Edge("rejected", "replay", f"{_setting('replay')}=NAME"),
        Edge("replay", "committed"),
    ]
    return Figure(
        "file-life",
        "The life of a file from DOR",
        "A file waits in the folder received. A job reads it, and rejects single lines or the whole file. The accepted "
        "lines are committed in one transaction, then the file is moved to the folder processed. Rejected lines can be "
        "replayed.",
        [[Panel(boxes, edges)]],
        gap_x=18,
        gap_y=24,
    )


def check_states() -> None:
    """Raise ValueError if the code has other states, or reaches them in another order."""
    documented = re.findall("^([a-z]+) {2,}", file_import.__doc__ or "", re.MULTILINE)
    names = dict(_STEPS)
    called = [*_list_calls(FileImport._run)]
    at = called.index("_import")
    calls = [*called[:at], *_list_calls(FileImport._import), *called[at:]]
    steps = [(call, names[call]) for call in calls if call in names]
    if set(documented) != set(names.values()) or steps != _STEPS:
        raise ValueError("The import of a file has other states or steps. Change tools/diagrams/file_life.py.")


def _list_calls(function: Callable[..., object]) -> Iterator[str]:
    """Yield the names of the functions that a function calls, in the order of its text."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        if isinstance(call.func, ast.Attribute):
            yield call.func.attr
        elif isinstance(call.func, ast.Name):
            yield call.func.id


def _setting(name: str) -> str:
    """Return the variable of a setting; raises KeyError if the job has none of this name."""
    DorImportSettings.model_fields[name]
    return name.upper()
