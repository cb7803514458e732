"""An AWS session for an environment, its clients, and the translation of errors.

The session uses the caller's credentials, found in the same way as by other AWS tools. ``AWS_ENDPOINT_URL`` directs
requests to another server, for tests. All calls run inside :meth:`Aws.translate_errors`, so that a failure is one of
three: ``Refused``, ``Unreachable``, or ``CredentialsExpired``, after which the next call reloads the credentials.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nightferry.aws_responses import ForeignResponse, IncompleteResponse, UnusableResponse, read_by_model
from nightferry.backend.errors import CredentialsExpired, Refused, Unreachable
from nightferry.credentials import new_botocore_session
from nightferry.errors import needs_extra

with needs_extra("aws"):
    import boto3
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        CredentialRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
        SSOTokenLoadError,
        UnauthorizedSSOTokenError,
    )

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

# botocore retries throttling and 5xx. Few attempts are enough: a person is waiting, and followers poll again.
_MAX_ATTEMPTS = 5
_EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
    }
)
_THROTTLED = frozenset(
    {"Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded"}
)
# HEAD requests of S3 have no body, so their code is the status.
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403"})
_BUSY = frozenset({"ServerException", "ServiceUnavailable", "ServiceUnavailableException", "InternalFailure",
                   "InternalServerError", "InternalError", "RequestTimeout"})  # fmt: skip

# Temporary reasons behind InvalidParameterException and ClientException, which botocore does not retry: another service
# throttles ECS (dagster-io/dagster#33439), or IAM has not yet distributed a new role.
_TEMPORARY = re.compile(r"Rate exceeded|Throttling|unable to assume the role", re.IGNORECASE)


class ResourceNotFound(Refused):
    """The resource does not exist on AWS."""


class NotFromAws(Unreachable):
    """Another server than AWS responded. A retry soon after has the same result."""


class AccessDenied(Refused):
    """The caller does not have the permission for the request."""


class TemporarilyRefused(Unreachable):
    """AWS refused the request for a reason that usually passes. It has started nothing."""


class TokenUsed(Refused):
    """RunTask received the token before, with other parameters, and started ``tasks`` (ARNs)."""

    def __init__(self, message: str, tasks: list[str]) -> None:
        super().__init__(message)
        self.tasks = tasks


def get_error_code(error: ClientError) -> str:
    """Return the error code that AWS returned."""
    return error.response.get("Error", {}).get("Code", "unknown error")


if TYPE_CHECKING:
    cached = cached_property
else:

    class cached(cached_property):  # it is used like cached_property
        """A property that is computed once, also if several threads read it: boto3 must not create clients at once."""

        def __get__(self, instance, owner=None):
            """Return the value, which one thread computes."""
            if instance is None:
                return self
            with instance.lock:
                return super().__get__(instance, owner)


class Aws:
    """AWS in one region, with the caller's credentials.

    ``account`` is the environment's account, for messages. A throttled call is made at most ``attempts`` times.
    """

    def __init__(self, region: str, account: str, attempts: int = _MAX_ATTEMPTS) -> None:
        self.region = region
        self.account = account
        self.lock = threading.RLock()
        self.config = Config(
            connect_timeout=5,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": attempts},
            tcp_keepalive=True,
            user_agent_extra="nightferry",
        )

    @contextmanager
    def translate_errors(self, action: str, *, missing: tuple[str, ...] = ()) -> Iterator[None]:
        """Raise Refused, Unreachable or CredentialsExpired for the errors of boto3 calls in the context.

        Args:
            action: A verb phrase for messages, such as "start task x".
            missing: Error codes that mean that the resource does not exist. They raise :class:`ResourceNotFound`.
        """
        try:
            yield
        except ClientError as error:
            code = get_error_code(error)
            message = error.response.get("Error", {}).get("Message", "") or "no reason given"
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in missing:
                raise ResourceNotFound(f"Cannot {action}: not found: {message}") from None
            if code in _EXPIRED:
                raise self._discard_credentials(f"The AWS credentials have expired ({code}).") from None
            if code in _THROTTLED or code in _BUSY or status >= 500:
                raise Unreachable(f"Cannot {action}: AWS is temporarily unavailable ({code}).") from None
            if _TEMPORARY.search(message):
                raise TemporarilyRefused(f"Cannot {action}: AWS returned {code}: {message}") from None
            if code == "ConflictException" and error.operation_name == "RunTask":
                response: Any = error.response
                raise TokenUsed(f"Cannot {action}: {message}", response.get("resourceIds") or []) from None
            refused = AccessDenied if code in _DENIED else Refused
            raise refused(f"Cannot {action}: AWS returned {code}: {message}{_make_permission_hint(code)}") from None
        except (
            NoCredentialsError,
            PartialCredentialsError,
            CredentialRetrievalError,
            SSOTokenLoadError,
            UnauthorizedSSOTokenError,
        ) as error:
            raise self._discard_credentials(f"No AWS credentials found ({type(error).__name__}).") from None
        except ForeignResponse as error:
            raise NotFromAws(f"Cannot {action}: {error}") from None
        except UnusableResponse as error:
            raise Unreachable(f"Cannot {action}: {error}") from None
        except IncompleteResponse as error:
            raise Refused(f"Cannot {action}: {error}") from None
        except BotoCoreError as error:
            raise Unreachable(f"Cannot {action}: AWS is unreachable ({type(error).__name__}).") from None

    def _discard_credentials(self, problem: str) -> CredentialsExpired:
        """Make the next call load new credentials, and return the error for the current call."""
        credentials = self.session.get_credentials()
        renewable = credentials is None or credentials.method != "env"
        with self.lock:
            for name in ("session", "ecs", "logs", "ssm", "stepfunctions", "sts", "sqs", "caller"):
                self.__dict__.pop(name, None)
        return CredentialsExpired(
            f"{problem} Renew the credentials of account {self.account}: run aws sso login, or set new keys.",
            renewable=renewable,
        )

    @cached
    def session(self) -> boto3.Session:
        """Return the session; a new one after the credentials expired."""
        return self.create_session()

    def create_session(self) -> boto3.Session:
        """Create a session that reads responses by the API's model."""
        return read_by_model(boto3.Session(botocore_session=new_botocore_session(), region_name=self.region))

    @cached
    def ecs(self) -> ECSClient:
        """Return the client of Elastic Container Service."""
        return self.session.client("ecs", config=self.config)

    @cached
    def logs(self) -> CloudWatchLogsClient:
        """Return the client of CloudWatch Logs."""
        return self.session.client("logs", config=self.config)

    @cached
    def ssm(self) -> SSMClient:
        """Return the client of Systems Manager, for the Parameter Store."""
        return self.session.client("ssm", config=self.config)

    @cached
    def stepfunctions(self) -> SFNClient:
        """Return the client of Step Functions."""
        return self.session.client("stepfunctions", config=self.config)

    @cached
    def sts(self) -> STSClient:
        """Return the client of Security Token Service, for the caller's identity."""
        return self.session.client("sts", config=self.config)

    @cached
    def caller(self) -> str:
        """Return the ARN of the caller, read once for its credentials. The call needs no permission.

        It is short, because a network may lead to ECS and not to STS, and an action waits for it.
        """
        short = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1})
        with self.translate_errors("read the caller's identity"):
            return self.session.client("sts", config=self.config.merge(short)).get_caller_identity()["Arn"]

    @cached
    def sqs(self) -> SQSClient:
        """Return the client of Simple Queue Service, for dead-letter queues."""
        return self.session.client("sqs", config=self.config)


def create_client(aws: Aws, service: str, **credentials: str) -> Any:
    """Return a new client for a service that is rarely called, with boto3's arguments for other credentials."""
    create: Any = aws.session.client
    return create(service, config=aws.config, **credentials)


def _make_permission_hint(code: str) -> str:
    if code in _DENIED:
        return " Request this permission, or use a role that has it (docs/operators.md lists the permissions)."
    return ""
