"""One session with AWS for an environment, its clients, and what a refusal means.

Credentials are the caller's own, found as every AWS tool finds them. ``AWS_ENDPOINT_URL`` sends requests elsewhere, for
tests. All calls go through :meth:`Aws.asking`, so that every failure is one of three: refused
(``Refused``), not reachable (``Unreachable``), or credentials that
are gone (``CredentialsExpired``), after which new ones are looked for at the next call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nightferry.backend.interface import CredentialsExpired, Refused, Unreachable
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

# A person waits: few attempts, and whoever watches asks again anyway. botocore retries throttling and 5xx.
_ATTEMPTS = 5
_GONE = frozenset(
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
_BUSY = frozenset({"ServerException", "ServiceUnavailable", "ServiceUnavailableException", "InternalFailure",
                   "InternalServerError", "InternalError", "RequestTimeout"})  # fmt: skip


class NotThere(Refused):
    """AWS knows no such thing."""


def code_of(error: ClientError) -> str:
    """AWS's word for what was wrong."""
    return error.response.get("Error", {}).get("Code", "an unknown error")


class Aws:
    """AWS in one region, as whoever calls. ``account`` is the one that is meant, for messages.

    A call that is throttled is made ``attempts`` times in all.
    """

    def __init__(self, region: str, account: str, attempts: int = _ATTEMPTS) -> None:
        self.region = region
        self.account = account
        self.config = Config(
            connect_timeout=5,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": attempts},
            tcp_keepalive=True,
            user_agent_extra="nightferry",
        )

    @contextmanager
    def asking(self, what: str, *, missing: tuple[str, ...] = ()) -> Iterator[None]:
        """Calls within ask for ``what`` ("the run of task x"); raises Refused, Unreachable or CredentialsExpired.

        The error codes ``missing`` raise :class:`NotThere`.
        """
        try:
            yield
        except ClientError as error:
            code = code_of(error)
            said = error.response.get("Error", {}).get("Message", "") or "no reason given"
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in missing:
                raise NotThere(f"AWS does not know {what}: {said}") from None
            if code in _GONE:
                raise self._gone(f"AWS does not take the credentials any more ({code}).") from None
            if code in _THROTTLED or code in _BUSY or status >= 500:
                raise Unreachable(f"AWS could not answer about {what} just now ({code}).") from None
            raise Refused(f"AWS refused {what}: {code}: {said}{_hint(code)}") from None
        except (
            NoCredentialsError,
            PartialCredentialsError,
            CredentialRetrievalError,
            SSOTokenLoadError,
            UnauthorizedSSOTokenError,
        ) as error:
            raise self._gone(f"There are no credentials for AWS ({type(error).__name__}).") from None
        except BotoCoreError as error:
            raise Unreachable(f"AWS cannot be reached for {what} ({type(error).__name__}).") from None

    def _gone(self, problem: str) -> CredentialsExpired:
        credentials = self.session.get_credentials()
        renewable = credentials is None or credentials.method != "env"
        for name in ("session", "ecs", "logs", "ssm", "stepfunctions", "sts", "sqs"):
            self.__dict__.pop(name, None)  # the next call looks for new ones
        return CredentialsExpired(
            f"{problem} Renew them for account {self.account} (aws sso login, or new keys).", renewable=renewable
        )

    @cached_property
    def session(self) -> boto3.Session:
        """The session; a new one after the credentials were gone."""
        return boto3.Session(region_name=self.region)

    @cached_property
    def ecs(self) -> ECSClient:
        """Elastic Container Service."""
        return self.session.client("ecs", config=self.config)

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        """CloudWatch Logs."""
        return self.session.client("logs", config=self.config)

    @cached_property
    def ssm(self) -> SSMClient:
        """The parameter store."""
        return self.session.client("ssm", config=self.config)

    @cached_property
    def stepfunctions(self) -> SFNClient:
        """Step Functions."""
        return self.session.client("stepfunctions", config=self.config)

    @cached_property
    def sts(self) -> STSClient:
        """Who the caller is."""
        return self.session.client("sts", config=self.config)

    @cached_property
    def sqs(self) -> SQSClient:
        """Queues, such as those of dead letters."""
        return self.session.client("sqs", config=self.config)


def client(aws: Aws, service: str) -> Any:
    """A client for a service that few ask: it is not kept."""
    make: Any = aws.session.client
    return make(service, config=aws.config)


def _hint(code: str) -> str:
    if code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"):
        return " Ask for this permission, or use the role that has it (docs/running-tasks.md lists what is needed)."
    return ""
