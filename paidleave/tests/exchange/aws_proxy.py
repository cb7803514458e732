"""A proxy in front of moto's server that checks which key may use which bucket, and that can corrupt objects.

A missing object is a 403, as for all roles that may list only prefixes.
"""

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
class AccessRules:
    """The rules of the proxy, and a record of the requests."""

    moto: tuple[str, int]
    vendors: set[str] = field(default_factory=set)
    """Buckets that only the role may use; the role may use no others."""
    lifetime: timedelta = timedelta(hours=1)
    """Lifetime of the role's credentials."""
    uses: int = 10**9
    """Number of requests after which a key of the role is expired."""
    corrupt_object: str = ""
    """The end of the path of an object that is returned with one byte changed."""
    keys: Counter[str] = field(default_factory=Counter)
    """The role's keys with the number of their requests."""
    requests: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, path: str, authorization: str) -> str:
        """Return the error code of a request that is refused, or an empty string."""
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

    def register_role_key(self, response: bytes) -> bytes:
        """Record the key in the response to AssumeRole, and return the response with our lifetime."""
        with self.lock:
            self.keys[re.findall(b"<AccessKeyId>(.*?)</", response)[0].decode()] = 0
        expiry = (datetime.now(UTC) + self.lifetime).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        return re.sub(b"(<Expiration>).*?(</)", rb"\g<1>" + expiry + rb"\g<2>", response)


_DENIED = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"


class AwsProxy:
    """An HTTP server that forwards requests to moto if the rules allow them."""

    def __init__(self, rules: AccessRules) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # otherwise a response's body waits 40 ms for the client's acknowledgment

            def _forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                rules.requests.append(f"{self.command} {self.path}")
                assumes_role = b"Action=AssumeRole" in body
                if assumes_role and parse_qs(body.decode())["ExternalId"] != [EXTERNAL_ID]:
                    return self._respond(403, {}, _DENIED)
                if problem := rules.check(self.path, self.headers.get("Authorization", "")):
                    return self._respond(403, {}, f"<Error><Code>{problem}</Code></Error>".encode())
                moto = http.client.HTTPConnection(*rules.moto)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
                moto.request(self.command, self.path, body, headers)
                response = moto.getresponse()
                content = response.read()
                if response.status == 404 and "/" in self.path.partition("?")[0].strip("/"):
                    # S3's response for a missing object, unless the caller may list the whole bucket.
                    return self._respond(403, {}, b"<Error><Code>AccessDenied</Code></Error>")
                if assumes_role:
                    content = rules.register_role_key(content)
                if rules.corrupt_object and self.command == "GET" and self.path.endswith(rules.corrupt_object):
                    content = bytes([content[0] ^ 1]) + content[1:]
                self._respond(response.status, dict(response.getheaders()), content)
                moto.close()
                return None

            def _respond(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                self.send_header("x-amzn-RequestId", "1")
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
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
