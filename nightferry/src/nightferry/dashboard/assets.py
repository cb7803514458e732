"""The stylesheet and the script: the files of ``static/css`` and ``static/js``, concatenated in order of their names.

Their URLs contain a hash of the content, so that browsers keep them until they change.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response

_TYPES = {"css": "text/css", "js": "text/javascript"}
_HEADERS = {"Cache-Control": "private, max-age=31536000, immutable"}


@dataclass(frozen=True)
class Asset:
    """A static file with its path on the server."""

    path: str
    content: bytes
    media_type: str

    def respond(self, _: Request) -> Response:
        """Return the file."""
        return Response(self.content, media_type=self.media_type, headers=_HEADERS)


@cache
def read_asset(kind: str) -> Asset:
    """Return the stylesheet (``css``) or the script (``js``)."""
    folder = resources.files(__package__).joinpath("static", kind)
    files = sorted((file for file in folder.iterdir() if file.name.endswith(f".{kind}")), key=lambda file: file.name)
    content = b"\n".join(file.read_bytes() for file in files)
    return Asset(f"/static/{hashlib.sha256(content).hexdigest()[:16]}.{kind}", content, _TYPES[kind])


@cache
def read_icon() -> Asset:
    """Return the icon of the site."""
    content = resources.files(__package__).joinpath("static", "icon.svg").read_bytes()
    return Asset(f"/static/{hashlib.sha256(content).hexdigest()[:16]}.svg", content, "image/svg+xml")
