"""The gate: no route is open to other hosts, other sites, or without a login."""

from __future__ import annotations

import httpx
import pytest

from nightferry.dashboard import gate
from nightferry.dashboard.access import make_code
from nightferry.dashboard.assets import read_asset
from nightferry.dashboard.routes import PAGES
from nightferry.dashboard.site import Site
from tests.dashboard.dashboards import PORT, TOKEN, make_client

ORIGIN = f"http://127.0.0.1:{PORT}"


def list_paths() -> list[tuple[str, str]]:
    """Return the method and the path of all routes. A parameter is replaced with a text."""
    fixed = [("GET", "/"), ("GET", "/login"), ("POST", "/logout"), ("GET", read_asset("js").path), ("GET", "/nothing")]
    pages = [
        (page.method, "/local" + page.path.replace("{", "").replace("}", "").replace(":path", "")) for page in PAGES
    ]
    return [
        *fixed,
        *pages,
        *((method, f"{path}.json") for method, path in pages if method == "GET" and path[-1] != "/"),
    ]


def test_every_route_needs_a_login(site: Site) -> None:
    with make_client(site, logged_in=False) as client:
        for method, path in list_paths():
            response = client.request(method, path)
            assert response.status_code == 401, path
            assert site.catalog.tasks.keys().isdisjoint(response.text.split()), path


def test_every_route_refuses_other_hosts(client: httpx.Client) -> None:
    port = f":{PORT}"
    for host in ("attacker.example", f"attacker.example{port}", f"127.0.0.1.attacker.example{port}", "127.0.0.1",
                 "127.0.0.1:1", "", "[::1]", f"127.0.0.1{port}@attacker.example"):  # fmt: skip
        for method, path in [*list_paths(), ("GET", "/health"), ("GET", "/metrics")]:
            assert client.request(method, path, headers={"Host": host}).status_code == 421, (host, path)


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"])
def test_the_names_of_loopback_are_own_hosts(client: httpx.Client, host: str) -> None:
    assert client.get("/local/help", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{PORT}"},  # own, but not that of the Host header
        {},
    ],
)
def test_a_form_of_another_site_is_refused(client: httpx.Client, headers: dict[str, str]) -> None:
    for path in [path for method, path in list_paths() if method == "POST"] + ["/login"]:
        request = client.build_request("POST", path, data={"zone": "UTC"})
        del request.headers["Sec-Fetch-Site"]
        request.headers.update(headers)
        assert client.send(request).status_code == 403, path


def test_a_form_of_the_same_origin_is_accepted(client: httpx.Client) -> None:
    request = client.build_request("POST", "/local/preferences", data={"zone": "Europe/Berlin"})
    del request.headers["Sec-Fetch-Site"]
    request.headers["Origin"] = ORIGIN
    response = client.send(request)
    assert response.status_code == 303
    assert "CET" in client.get("/local/help").text or "Europe/Berlin" in client.get("/local/help").text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_refused(client: httpx.Client, method: str) -> None:
    request = client.build_request("GET", "/local/runs")
    request.method = method
    assert client.send(request).status_code == 405


def test_every_response_has_the_headers_that_keep_others_out(site: Site, client: httpx.Client) -> None:
    with make_client(site, logged_in=False) as stranger:
        responses = [client.get(path) for method, path in list_paths() if method == "GET"]
        responses += [stranger.get("/local/"), stranger.get("/local/runs", headers={"Host": "attacker.example"})]
        for response in responses:
            assert "default-src 'none'" in response.headers["content-security-policy"]
            assert "unsafe" not in response.headers["content-security-policy"]
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["referrer-policy"] == "no-referrer"
            assert response.headers["cross-origin-resource-policy"] == "same-origin"
            assert not [name for name in response.headers if name.startswith("access-control")]
            assert "no-store" in response.headers["cache-control"] or response.request.url.path.startswith("/static")


def test_the_cookie_is_strict_and_bound_to_the_port(site: Site) -> None:
    with make_client(site, logged_in=False) as client:
        cookie = client.get("/login", params={"code": make_code(TOKEN, PORT)}).headers["set-cookie"]
    assert cookie.startswith(f"nightferry-{PORT}=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}


def test_the_token_opens_pages_for_scripts(site: Site) -> None:
    with make_client(site, logged_in=False) as client:
        del client.headers["Sec-Fetch-Site"]
        assert client.get("/local/runs.json", headers={"Authorization": f"Bearer {TOKEN}"}).json()["runs"] == []
        for wrong in (f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", TOKEN):
            assert client.get("/local/runs.json", headers={"Authorization": wrong}).status_code == 401


def test_sizes_are_limited(client: httpx.Client) -> None:
    assert client.get("/local/runs?q=" + "a" * gate.MAX_QUERY_BYTES).status_code == 414
    big = b"a=" + b"b" * gate.MAX_BODY_BYTES
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/local/preferences", content=big, headers=kind).status_code == 413

    def parts() -> object:
        yield from (big[:30_000], big[:30_000], big[:30_000])

    request = client.build_request("POST", "/local/preferences", content=parts(), headers=kind)  # type: ignore[arg-type]
    assert "content-length" not in request.headers
    assert client.send(request).status_code == 413


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 5000])
def test_a_wrong_length_is_refused(client: httpx.Client, length: str) -> None:
    request = client.build_request("POST", "/local/preferences", content=b"zone=UTC")
    request.headers["Content-Length"] = length
    assert client.send(request).status_code == 413
