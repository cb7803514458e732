"""A dashboard on the toy project in this process, and the checks that hold for each page."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from lxml import html as lxml_html

from nightferry.backend.interface import Backend
from nightferry.dashboard.access import Access, make_code
from nightferry.dashboard.app import create_app
from nightferry.dashboard.site import Site
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from tests.module_names import module_name

TOKEN = "a-token-for-tests-with-many-characters"
PORT = 8471


def write_project(root: Path, catalog: str) -> Path:
    """Write a project on this machine with the source code of its catalog, and return its root."""
    module = module_name("shop", root)
    (root / "environments").mkdir(parents=True)
    (root / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}:catalog"\n')
    (root / f"{module}.py").write_text(catalog)
    (root / "environments" / "local.toml").write_text('backend = "local"\n')
    return root


class Queueing(LocalBackend):
    """A backend whose runs stay queued, because it starts no engine."""

    def detach(self) -> None:
        """Start no engine."""


def make_site(
    root: Path,
    *,
    actions: bool = True,
    port: int = PORT,
    backend: Callable[[Project, Environment], Backend] = LocalBackend,
    **options: Any,
) -> Site:
    """Return a site on a project."""
    project = Project.find(root)
    environment = project.environment("local")
    access = Access.on_loopback(TOKEN, port)
    return Site(
        project,
        environment,
        access,
        lambda: backend(project, environment),
        author="anna",
        actions=actions,
        **options,
    )


def make_login(address: str) -> str:
    """Return a URL that logs a browser in to a site at this address."""
    return f"{address}/login?code={make_code(TOKEN, urlsplit(address).port or 80)}"


def make_client(site: Site, *, logged_in: bool = True) -> httpx.Client:
    """Return a client of the site in this process. It sends the headers of a page of the same origin."""
    client = httpx.Client(
        transport=_Transport(create_app(site)), base_url=f"http://127.0.0.1:{PORT}",
        headers={"Sec-Fetch-Site": "same-origin"},
    )  # fmt: skip
    if logged_in:
        client.get("/login", params={"code": make_code(TOKEN, PORT)})
    return client


class _Transport(httpx.BaseTransport):
    """Calls an ASGI application from a synchronous client."""

    def __init__(self, app: Any) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def call() -> httpx.Response:
            sent = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
            response = await self._transport.handle_async_request(sent)
            body = b"".join([part async for part in response.aiter_raw()])
            return httpx.Response(response.status_code, headers=response.headers, content=body)

        return asyncio.run(call())


def check_html(response: httpx.Response) -> lxml_html.HtmlElement:
    """Return the page after checks that hold for every page: IDs, labels, headings, own URLs only, no inline code."""
    assert response.headers["content-type"].startswith("text/html"), response.headers
    page = lxml_html.fromstring(response.text)
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids)), f"IDs are not unique: {ids}"
    assert page.xpath("//html/@lang")
    headings = [int(heading.tag[1]) for heading in page.xpath("//h1|//h2|//h3|//h4|//h5")]
    assert headings[:1] == [1]
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings)), headings
    for field in page.xpath("//input[not(@type='hidden')]|//select|//textarea"):
        labelled = field.xpath("ancestor::label") or field.get("aria-label") or field.get("aria-labelledby")
        assert labelled or page.xpath("//label[@for=$id]", id=field.get("id")), lxml_html.tostring(field)
    assert not page.xpath("//@style|//style|//*[starts-with(name(@*), 'on')]|//script[not(@src)]")
    for attribute in ("href", "src", "action"):
        for url in page.xpath(f"//@{attribute}"):
            parts = urlsplit(url)
            assert parts.scheme in ("", "https", "http"), url
    for cell in page.xpath("//th"):
        assert cell.get("scope"), lxml_html.tostring(cell)
    return page


def read_form(page: lxml_html.HtmlElement) -> dict[str, Any]:
    """Return what a browser sends for the form of an action, without the buttons. Several checked boxes are a list."""
    (form,) = page.xpath("//form[starts-with(@class, 'action')]")
    areas = set(form.xpath(".//textarea/@name"))  # a browser drops the first line end of an area; lxml does not
    found = {name: text.removeprefix("\n") if name in areas else text for name, text in form.form_values()}
    boxes = form.xpath(".//fieldset//input[@type='checkbox']")
    return found | {name: [box.get("value") for box in boxes if box.checked] for name in {box.name for box in boxes}}
