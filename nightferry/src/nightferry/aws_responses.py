"""Read the responses of AWS's API by the API's model, and reject those of other servers.

Almost every member of a response is optional in the model. The clients of a session that was passed to
:func:`read_by_model` therefore return :class:`Response` objects, in which a missing list, map or structure is empty.
Reading another missing member raises IncompleteResponse, unless the caller supplies a default with ``get``.

A proxy or a login page can respond instead of AWS, even with status 200. Each response of AWS has a request ID; a
response without one raises UnusableResponse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nightferry.contract import ExitCode
from nightferry.errors import NightferryError, needs_extra

with needs_extra("aws"):
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from botocore.utils import parse_timestamp

if TYPE_CHECKING:
    import boto3
    from botocore.model import OperationModel, Shape

_INTEGER = re.compile("-?[0-9]{1,18}")
# S3 sends the last two headers, other services the first one.
_REQUEST_ID_HEADERS = ("x-amzn-requestid", "x-amz-request-id", "x-amz-id-2")


class UnusableResponse(BotoCoreError, NightferryError):  # type: ignore[misc,unused-ignore]  # botocore is untyped
    """A response cannot be read. The message has the server, the status and the checks to make."""

    exit_code = ExitCode.FAILURE


class ForeignResponse(UnusableResponse):
    """Another server than AWS sent the response."""

    fmt = (
        "The response of {host} (status {status}) is not from AWS, because it has no request ID. A proxy, a firewall "
        "or a login page may have sent it. Check HTTPS_PROXY and NO_PROXY, the VPN, and whether the network requires a "
        "login."
    )


class DamagedResponse(UnusableResponse):
    """The body of a response is incomplete, or not in the format of the API."""

    fmt = "The response of {host} is incomplete or damaged. Try again. If the problem remains, check proxy and network."


class IncompleteResponse(NightferryError):
    """A response of AWS lacks a member that has no default. The message has the operation and the member."""

    exit_code = ExitCode.FAILURE

    def __init__(self, operation: str, member: str) -> None:
        super().__init__(
            f"The response to {operation} has no {member}. Try again. If the problem remains, update boto3."
        )


class Response(dict[str, Any]):
    """A structure in a response. A missing list, map or structure is empty; another missing member is an error."""

    def __init__(self, members: Mapping[str, Any], shape: Any, name: str) -> None:
        """``shape`` is the structure in the model. ``name`` is its path: ``DescribeTasks: tasks[]``."""
        super().__init__(
            {key: _read(value, shape.members.get(key), _join(name, key)) for key, value in members.items()}
        )
        self._shape = shape
        self._name = name

    def __missing__(self, key: str) -> Any:
        shape = self._shape.members[key]
        match shape.type_name:
            case "list":
                return []
            case "map":
                return {}
            case "structure":
                return Response({}, shape, _join(self._name, key))
        operation, _, member = _join(self._name, key).partition(": ")
        raise IncompleteResponse(operation, member)


def read_by_model(session: boto3.Session) -> boto3.Session:
    """Let the session's future clients check and read their responses as this module describes. Return the session."""
    session.events.register("creating-client-class", _add_reader)
    session.events.register("before-parse", _check)
    return session


class _Reader:
    """The base class that ``read_by_model`` adds to clients."""

    def _make_api_call(self, operation_name: str, api_params: Any) -> Any:
        client: Any = self
        host = urlsplit(client.meta.endpoint_url).netloc
        try:
            response = super()._make_api_call(operation_name, api_params)  # type: ignore[misc]
        except _Foreign as foreign:
            raise ForeignResponse(host=host, status=foreign.status) from None
        except ResponseParserError:
            raise DamagedResponse(host=host) from None
        except ClientError as error:
            metadata: Any = error.response.get("ResponseMetadata", {})
            status = metadata.get("HTTPStatusCode", 0)
            if status >= 500 and not (metadata.get("RequestId") or _has_request_id(metadata.get("HTTPHeaders", {}))):
                raise ForeignResponse(host=host, status=status) from None
            raise
        shape = client.meta.service_model.operation_model(operation_name).output_shape
        return response if shape is None else Response(response, shape, f"{operation_name}:")


def _add_reader(base_classes: list[type], **_: object) -> None:
    base_classes.insert(0, _Reader)


class _Foreign(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _check(operation_model: OperationModel, response_dict: dict[str, Any], **_: object) -> None:
    """Raise an error if the response is not from AWS or is damaged, before botocore parses it.

    botocore reads another JSON body, or none, as an empty response, and its XML parsers raise KeyError. A response with
    a status of 500 and above only loses its body, so that botocore retries the request.
    """
    status, body = response_dict["status_code"], response_dict["body"]
    if _has_request_id(response_dict["headers"]) or (isinstance(body, bytes) and b"equestId>" in body):
        # 204 is success without a body, as Lambda's DeleteFunction responds.
        if status < 300 and status != 204 and isinstance(body, bytes) and not _is_complete(operation_model, body):
            raise ResponseParserError("The body is not JSON in the form of the model.")
    elif status >= 500:
        response_dict["body"] = b""
    else:
        if not isinstance(body, bytes):
            body.close()
        raise _Foreign(status)


def _has_request_id(headers: Mapping[str, str]) -> bool:
    return any(headers.get(name) for name in _REQUEST_ID_HEADERS)


def _is_complete(operation_model: OperationModel, body: bytes) -> bool:
    """Return False if the body should be JSON in the form of the model, but is not."""
    shape = operation_model.output_shape
    is_json = "json" in (operation_model.service_model.resolved_protocol or "")
    if not is_json or shape is None or not shape.members or "payload" in shape.serialization:
        return True
    try:
        found = json.loads(body.decode())
        return isinstance(found, dict) and _fits(found, shape)
    except (ValueError, RecursionError):
        return False


def _fits(value: Any, shape: Any) -> bool:
    """Return True if botocore can parse the value by the model: it raises unrelated errors for another form.

    A scalar may have another type than in the model, because not all servers keep to it; ``_read`` converts it.
    """
    if value is None:
        return True
    match shape.type_name:
        case "structure" if shape.is_document_type:
            return True
        case "structure":
            names = ((member.serialization.get("name", name), member) for name, member in shape.members.items())
            return isinstance(value, dict) and all(_fits(value.get(name), member) for name, member in names)
        case "list":
            return isinstance(value, list) and all(_fits(item, shape.member) for item in value)
        case "map":
            return isinstance(value, dict) and all(_fits(item, shape.value) for item in value.values())
        case "timestamp":
            return _is_time(value)
        case "integer" | "long":
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return whole or (isinstance(value, str) and _INTEGER.fullmatch(value) is not None)
    return isinstance(value, str | int | float)


def _is_time(value: Any) -> bool:
    if isinstance(value, dict | list):
        return False
    try:
        parse_timestamp(value)
    except (ValueError, OverflowError, OSError, RuntimeError):
        return False
    return True


def _read(value: Any, shape: Shape | None, name: str) -> Any:
    """Return the value with its structures as :class:`Response`, and without the nulls of lists."""
    found: Any = shape
    match value, getattr(shape, "type_name", None):
        case dict(), "structure" if not found.is_document_type:
            return Response(value, found, name)
        case list(), "list":
            return [_read(item, found.member, f"{name}[]") for item in value if item is not None]
        case str() | float(), "integer" | "long":
            return int(value)
        case int() | float(), "string":
            return str(value)
        case dict(), "map":
            return {key: _read(item, found.value, f"{name}[]") for key, item in value.items() if item is not None}
    return value


def _join(name: str, key: str) -> str:
    return f"{name} {key}" if name.endswith(":") else f"{name}.{key}"
