"""Read the operation and the parameters from an HTTP request of an AWS client."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/")


@dataclass(frozen=True)
class Request:
    """A signed request: the access key, IAM's name of the service, the operation, and its parameters.

    ``headers`` have names in lower case. The parameters of S3 are ``Bucket``, ``Key`` and the query.
    """

    key: str
    region: str
    service: str
    operation: str
    parameters: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def read_request(environ: dict[str, Any], body: bytes) -> Request | None:
    """Return the request, or None if it is not signed."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    credential = _CREDENTIAL.search(headers.get("authorization", ""))
    if credential is None:
        return None
    key, region, service = credential.groups()
    if service == "s3":
        operation, parameters = _read_s3(environ)
    elif target := headers.get("x-amz-target"):
        operation, parameters = target.rpartition(".")[2], json.loads(body or b"{}")
    elif body.startswith((b"Action=", b"Version=")) or b"&Action=" in body:
        parameters = dict(parse_qsl(body.decode()))
        operation = parameters.pop("Action")
    else:
        operation, parameters = _read_rest(environ, body)
    return Request(key, region, service, operation, parameters, headers)


def _read_rest(environ: dict[str, Any], body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the operation of a REST API, which moto's router finds by the API's model."""
    if match := re.fullmatch(r"/2015-03-31/functions/([^/]+)/invocations", environ["PATH_INFO"]):
        return "Invoke", {"FunctionName": unquote(match[1])}
    if environ["REQUEST_METHOD"] == "POST" and (match := re.fullmatch(r"/schedules/([^/]+)", environ["PATH_INFO"])):
        return "CreateSchedule", {**json.loads(body), "Name": unquote(match[1])}
    if environ["REQUEST_METHOD"] == "GET" and (match := re.fullmatch(r"/schedules/([^/]+)", environ["PATH_INFO"])):
        group = parse_qs(environ["QUERY_STRING"])["groupName"][0]
        return "GetSchedule", {"Name": unquote(match[1]), "GroupName": group}
    return f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}", json.loads(body or b"{}")


# S3's operations, by method and by the member of the query that distinguishes them; the first match counts.
_BUCKET_OPERATIONS = {
    "GET": (("uploads", "ListMultipartUploads"), ("versions", "ListObjectVersions"), ("", "ListObjectsV2")),
    "HEAD": (("", "HeadBucket"),),
}
_OBJECT_OPERATIONS = {
    "GET": (("uploadId", "ListParts"), ("tagging", "GetObjectTagging"), ("", "GetObject")),
    "HEAD": (("", "HeadObject"),),
    "PUT": (("partNumber", "UploadPart"), ("tagging", "PutObjectTagging"), ("", "PutObject")),
    "POST": (("uploads", "CreateMultipartUpload"), ("uploadId", "CompleteMultipartUpload")),
    "DELETE": (("uploadId", "AbortMultipartUpload"), ("tagging", "DeleteObjectTagging"), ("", "DeleteObject")),
}


def _read_s3(environ: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    # PATH_INFO is decoded as Latin-1 (PEP 3333).
    path = environ["PATH_INFO"].encode("latin-1").decode()
    bucket, _, key = path.lstrip("/").partition("/")
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"], keep_blank_values=True).items()}
    method = environ["REQUEST_METHOD"]
    choices = (_OBJECT_OPERATIONS if key else _BUCKET_OPERATIONS).get(method, ())
    operation = next((name for member, name in choices if not member or member in query), f"{method} {path}")
    if operation == "PutObject" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        operation = "CopyObject"
    elif operation == "UploadPart" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        operation = "UploadPartCopy"
    return operation, {"Bucket": bucket, "Key": key, **query}
