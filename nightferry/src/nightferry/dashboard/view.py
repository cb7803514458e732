"""One request to a page: its query or form, and the response to it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlencode
from zoneinfo import ZoneInfo

from starlette.datastructures import URL, Headers
from starlette.responses import RedirectResponse, Response

from nightferry.backend.freshness import Reading
from nightferry.backend.interface import Backend
from nightferry.backend.queries import Cursor
from nightferry.backend.runs import TaskRun
from nightferry.catalog.catalog import Catalog
from nightferry.dashboard.rendering import Renderer, make_etag
from nightferry.dashboard.site import Site
from nightferry.environments.environment import Environment
from nightferry.errors import NightferryError
from nightferry.presentation.inputs import redact_run
from nightferry.presentation.times import parse_time
from nightferry.printable import make_printable

ID = re.compile(r"[A-Za-z0-9_-]{4,80}")
_MAX_FORM_FIELDS = 500

Choice = TypeVar("Choice", bound=str)


class BadRequest(NightferryError):
    """The query or the form has a value that is not valid. The message is shown on the page."""


class View:
    """One request to a page of a site. ``path`` has the parts of the URL by name.

    ``threads`` run what continues after the page has responded, such as a download.
    """

    def __init__(
        self,
        site: Site,
        renderer: Renderer,
        *,
        url: URL,
        headers: Headers,
        path: Mapping[str, str],
        zone: ZoneInfo,
        session: str = "",
        body: bytes = b"",
        as_json: bool = False,
        threads: Executor | None = None,
        acts: bool = False,
    ) -> None:
        self.site = site
        self._acts = acts
        self.zone = zone
        self.path = path
        self.url = url
        self.headers = headers
        self.session = session
        self.query = parse_qs(url.query, keep_blank_values=True, errors="replace")  # the gate limits its length
        self._renderer = renderer
        self._body = body
        self.threads = threads
        self.as_json = as_json

    @property
    def backend(self) -> Backend:
        """Return the backend of this thread; for a form, the one that can start and stop runs."""
        return self.site.backend_for_actions if self._acts else self.site.backend

    @property
    def catalog(self) -> Catalog:
        """Return the project's catalog."""
        return self.site.catalog

    @property
    def environment(self) -> Environment:
        """Return the environment."""
        return self.site.environment

    @property
    def author(self) -> str:
        """Return who uses this dashboard, for the record of actions."""
        return self.site.author or self.backend.author()

    @property
    def message(self) -> str:
        """Return the result of the action after which this page is shown; empty otherwise."""
        return self.site.submissions.get_result(self.session, self.text("done"))

    @property
    def reading(self) -> Reading | None:
        """Return the oldest data of this page if they may be older than the page; None if all are new."""
        return self.site.freshness.oldest

    # ── the query ─────────────────────────────────────────────────────────────────────────────────────────────

    def text(self, name: str) -> str:
        """Return a parameter of the query; empty without it."""
        return self.query.get(name, [""])[-1].strip()

    def search(self, name: str = "q") -> str:
        """Return a text to search for. Raises BadRequest for one that no page contains, such as a personal number."""
        text = self.text(name)
        if self.site.redactor.redact_text(text) != text:
            raise BadRequest(
                "This text looks like personal data or a secret. Pages and logs do not contain such values, so they "
                "cannot be searched. Use an ID, a name or a file."
            )
        return text

    def choice(self, name: str, options: Sequence[Choice]) -> Choice | None:
        """Return a parameter that is one of ``options``, or None without it; raises BadRequest."""
        text = self.text(name)
        if text and text not in options:
            raise BadRequest(f"'{name}' must be one of {', '.join(options)}.")
        return next((option for option in options if option == text), None)

    def number(self, name: str, default: int, most: int) -> int:
        """Return a parameter that is a number from 1 to ``most``; raises BadRequest."""
        text = self.text(name)
        if not text:
            return default
        if not re.fullmatch(r"[0-9]{1,12}", text) or not 1 <= int(text) <= most:
            raise BadRequest(f"'{name}' must be a number from 1 to {most:,}.")
        return int(text)

    def time(self, name: str) -> datetime | None:
        """Return a parameter that is a time (``2h``, ISO 8601 in the chosen zone), or None; raises BadRequest."""
        text = self.text(name)
        if not text:
            return None
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            if time.tzinfo is None:
                text = time.replace(tzinfo=self.zone).isoformat()
        try:
            return parse_time(f"'{name}'", text)
        except NightferryError as error:
            raise BadRequest(str(error)) from None

    def cursor(self, name: str = "before") -> Cursor | None:
        """Return the place in a list at which a page begins, or None; raises BadRequest."""
        text = self.text(name)
        try:
            return Cursor.parse(text) if text else None
        except ValueError:
            raise BadRequest(f"'{name}' is not a place in a list. Follow the links of the list.") from None

    @property
    def form(self) -> dict[str, list[str]]:
        """Return the fields of the form that was sent; raises BadRequest."""
        if not self.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
            raise BadRequest("A form must be sent as application/x-www-form-urlencoded.")
        try:
            return parse_qs(
                self._body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS, errors="strict"
            )
        except ValueError:
            raise BadRequest(f"The form is not valid UTF-8, or has more than {_MAX_FORM_FIELDS} fields.") from None

    def field(self, name: str) -> str:
        """Return a field of the form; empty without it."""
        return self.form.get(name, [""])[-1].strip()

    # ── links ─────────────────────────────────────────────────────────────────────────────────────────────────

    def link(self, path: str, **query: object) -> str:
        """Return the URL of a page: the path below the environment, with the parameters that have a value."""
        values = [(name, str(value)) for name, value in query.items() if value not in (None, "")]
        return f"/{quote(self.site.name)}{quote(path)}" + (f"?{urlencode(values)}" if values else "")

    def with_query(self, **changes: object) -> str:
        """Return the URL of this page with changed parameters; None removes one, and personal data is removed, too."""
        hides = self.site.redactor.redact_text
        values = {name: found[-1] for name, found in self.query.items() if hides(found[-1]) == found[-1]} | changes
        pairs = [(name, str(value)) for name, value in values.items() if value not in (None, "")]
        return self.url.path + (f"?{urlencode(pairs)}" if pairs else "")

    # ── what is shown ─────────────────────────────────────────────────────────────────────────────────────────

    def shown(self, value: Any, name: str = "") -> Any:
        """Return a value of JSON without what must not be shown; ``name`` is its field."""
        return self.site.redactor.redact_value(value, name)

    def shown_run(self, run: TaskRun) -> TaskRun:
        """Return a run whose arguments, variables and reason may be shown."""
        return redact_run(self.catalog, run)

    # ── responses ─────────────────────────────────────────────────────────────────────────────────────────────

    def page(
        self, template: str, *, title: str, json: Any = None, live: bool = False, status: int = 200, **context: Any
    ) -> Response:
        """Return the page, or ``json`` if the URL ends with ``.json``. ``live`` refreshes it while it is visible."""
        if self.as_json:
            return self.json({} if json is None else json, status)
        html = self._renderer.render(template, view=self, site=self.site, title=title, live=live, **context)
        return self._respond(html.encode(), "text/html; charset=utf-8", status)

    def json(self, value: Any, status: int = 200) -> Response:
        """Return a value as JSON, without what must not be shown."""
        text = json.dumps(self.shown(value), default=_format_value, ensure_ascii=False, indent=2)
        return self._respond(make_printable(text).encode(), "application/json", status)

    def redirect(self, link: str) -> Response:
        """Return the redirect after a form was sent."""
        return RedirectResponse(link, 303)

    def _respond(self, body: bytes, media_type: str, status: int) -> Response:
        etag = make_etag(body)
        if status == 200 and self.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"ETag": etag})
        return Response(body, status, {"ETag": etag, "Vary": "Cookie"}, media_type)


def _format_value(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
