"""Login codes, sessions and the token."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import httpx
import pytest

from nightferry.dashboard.access import CODE_SECONDS, SESSION_SECONDS, TOKEN_FILE, Access, make_code, read_token
from nightferry.dashboard.server import LOGIN_FILE, open_browser
from nightferry.dashboard.site import Site
from nightferry.environments.private_paths import NotPrivate
from tests.dashboard.dashboards import PORT, TOKEN, make_client


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def access(time: Time) -> Access:
    return Access(TOKEN, [f"http://127.0.0.1:{PORT}"], clock=time)


def test_a_code_is_valid_once(access: Access, time: Time) -> None:
    code = make_code(TOKEN, PORT, time.now)
    session = access.log_in(code)
    assert session is not None
    assert access.is_session(session)
    assert access.log_in(code) is None


def test_a_code_is_valid_for_one_minute(access: Access, time: Time) -> None:
    code = make_code(TOKEN, PORT, time.now)
    time.now += CODE_SECONDS + 1
    assert access.log_in(code) is None


def test_a_session_ends_after_twelve_hours_and_at_the_logout(access: Access, time: Time) -> None:
    first, second = (access.log_in(make_code(TOKEN, PORT, time.now)) for _ in range(2))
    assert first is not None
    assert second is not None
    access.log_out(first)
    assert not access.is_session(first)
    assert access.is_session(second)
    time.now += SESSION_SECONDS
    assert not access.is_session(second)


@pytest.mark.parametrize("change", ["later", "nonce", "signature", "empty", "unicode", "parts"])
def test_a_changed_code_is_refused(access: Access, time: Time, change: str) -> None:
    expires, nonce, signature = make_code(TOKEN, PORT, time.now).split(".")
    codes = {
        "later": f"{int(expires) + 60}.{nonce}.{signature}",
        "nonce": f"{expires}.{nonce}x.{signature}",
        "signature": f"{expires}.{nonce}.{'0' * 64}",
        "empty": "",
        "unicode": f"{expires}.{nonce}.\u0660{signature[1:]}",
        "parts": signature,
    }
    assert access.log_in(codes[change]) is None


def test_a_code_of_another_token_is_refused(access: Access, time: Time) -> None:
    assert access.log_in(make_code("another-token", PORT, time.now)) is None


def test_a_code_of_another_server_is_refused(access: Access, time: Time) -> None:
    """Another server is on another port, or was on this one before: it does not know which codes were used."""
    assert access.log_in(make_code(TOKEN, PORT + 1, time.now)) is None
    code = make_code(TOKEN, PORT, time.now)
    assert access.log_in(code) is not None
    time.now += 2
    assert Access(TOKEN, [f"http://127.0.0.1:{PORT}"], clock=time).log_in(code) is None


def test_a_browser_is_opened_without_the_code_in_its_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    login = f"http://127.0.0.1:{PORT}/login?code={make_code(TOKEN, PORT)}"
    open_browser(tmp_path / "a state", login)
    file = tmp_path / "a state" / LOGIN_FILE
    assert opened == [file.as_uri()]
    assert login in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_a_login_from_another_site_continues_on_a_page(site: Site) -> None:
    with make_client(site, logged_in=False) as client:
        parameters = {"code": make_code(TOKEN, PORT), "next": "/local/runs"}
        response = client.get("/login", params=parameters, headers={"Sec-Fetch-Site": "cross-site"})
        assert response.status_code == 200
        assert 'content="0; url=/local/runs"' in response.text
        assert client.get("/local/runs").status_code == 200


def test_behind_tls_the_cookie_is_bound_to_the_host() -> None:
    access = Access(TOKEN, ["https://jobs.example.gov"])
    assert access.secure
    assert access.cookie == "__Host-nightferry-443"
    assert access.knows_host("jobs.example.gov")
    assert not access.knows_host("jobs.example.gov:8471")


def test_the_token_is_private_and_stays(tmp_path: Path) -> None:
    token = read_token(tmp_path / "state")
    file = tmp_path / "state" / TOKEN_FILE
    assert len(token) >= 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_token(tmp_path / "state") == token
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(TOKEN_FILE)] == [TOKEN_FILE]
    file.chmod(0o644)
    with pytest.raises(NotPrivate):
        read_token(tmp_path / "state")


def test_processes_agree_on_the_token(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        assert len(set(pool.map(read_token, [tmp_path / "state"] * 32))) == 1


@pytest.mark.parametrize(
    "wanted", ["/local/runs?q=a", "//attacker.example", "https://attacker.example", "/local//x", "/other"]
)
def test_the_login_leads_only_to_own_pages(site: Site, wanted: str) -> None:
    with make_client(site, logged_in=False) as client:
        response = client.post("/login", data={"code": make_code(TOKEN, PORT), "next": wanted})
    assert response.status_code == 303
    assert response.headers["location"] == (wanted if wanted == "/local/runs?q=a" else "/local/")


def test_a_page_without_login_says_how_to_log_in_and_returns_to_the_page(site: Site) -> None:
    with make_client(site, logged_in=False) as client:
        text = client.get("/local/runs?q=a&task=hello").text
        assert "nightferry dashboard" in text
        assert 'value="/local/runs?q=a&amp;task=hello"' in text
        assert "open the page" in client.get("/local/runs", headers={"Sec-Fetch-Site": "cross-site"}).text


def test_logout_ends_the_session(client: httpx.Client) -> None:
    assert client.get("/local/help").status_code == 200
    cookies = dict(client.cookies)
    assert client.post("/logout").status_code == 303
    assert (
        client.get("/local/help", headers={"Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())}).status_code
        == 401
    )
