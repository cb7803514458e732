"""A guard before moto's server: it knows who asks, gives the vendor's bucket to the role only, and can do harm."""

from __future__ import annotations

import http.client
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

ROLE = "arn:aws:iam::333333333333:role/vendor"
EXTERNAL_ID = "our-id-there"


@dataclass
class Gate:
    """What the guard knows and does."""

    moto: tuple[str, int]
    vendors: set[str] = field(default_factory=set)
    """Buckets that only the role may use, and the role no others."""
    lifetime: timedelta = timedelta(hours=1)
    """How long the credentials of the role last."""
    uses: int = 10**9
    """Requests of one key after which it counts as expired."""
    spoil: str = ""
    """Whoever reads this object gets one byte changed."""
    keys: Counter[str] = field(default_factory=Counter)
    """The keys of the role, and how often each was used."""
    requests: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def problem(self, path: str, authorization: str) -> str:
        """Why a request is refused; empty when it is not."""
        key = (re.search("Credential=([^/]+)/", authorization) or ["", ""])[1]
        bucket = path.strip("/").partition("/")[0].partition("?")[0]
        with self.lock:
            if key in self.keys:
                self.keys[key] += 1
                if self.keys[key] > self.uses:
                    return "ExpiredToken"
        if bucket and (bucket in self.vendors) != (key in self.keys):
            return "AccessDenied"
        return ""

    def role_given(self, answer: bytes) -> bytes:
        """Remember the key, and let it last for as long as it is to."""
        with self.lock:
            self.keys[re.findall(b"<AccessKeyId>(.*?)</", answer)[0].decode()] = 0
        ends = (datetime.now(UTC) + self.lifetime).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        return re.sub(b"(<Expiration>).*?(</)", rb"\g<1>" + ends + rb"\g<2>", answer)


_DENIED = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"


class Server:
    """The guard as a server."""

    def __init__(self, gate: Gate) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else an answer's body waits 40 ms for the client's acknowledgement

            def _forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                gate.requests.append(f"{self.command} {self.path}")
                assumes = b"Action=AssumeRole" in body
                if assumes and parse_qs(body.decode())["ExternalId"] != [EXTERNAL_ID]:
                    return self._answer(403, {}, _DENIED)
                if problem := gate.problem(self.path, self.headers.get("Authorization", "")):
                    return self._answer(403, {}, f"<Error><Code>{problem}</Code></Error>".encode())
                moto = http.client.HTTPConnection(*gate.moto)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
                moto.request(self.command, self.path, body, headers)
                answer = moto.getresponse()
                content = answer.read()
                if assumes:
                    content = gate.role_given(content)
                if gate.spoil and self.command == "GET" and self.path.endswith(gate.spoil):
                    content = bytes([content[0] ^ 1]) + content[1:]
                self._answer(answer.status, dict(answer.getheaders()), content)
                moto.close()
                return None

            def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "connection", "date", "server", "transfer-encoding"):
                        self.send_header(name, value)
                length = headers.get("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward

            def log_message(self, format: str, *args: Any) -> None:
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
