"""Secrets, database tokens and assumed roles, from AWS.

Requests go to the region of ``AWS_REGION`` or ``AWS_DEFAULT_REGION``; ``AWS_ENDPOINT_URL`` sends them elsewhere.
"""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nightferry.contract import TASK_VARIABLE
from nightferry.errors import NightferryError, needs_extra

if TYPE_CHECKING:
    import boto3
    import botocore.session
    from botocore.config import Config
    from botocore.loaders import Loader

_ROLE_SECONDS = 3600
"""How long an assumed role's credentials last; more is refused where a role assumes a role."""

_lock = threading.Lock()  # boto3's sessions are made one at a time


class CredentialsError(NightferryError):
    """AWS gave no secret, token or role. The message says which, and what was answered."""


class ParameterUnavailable(CredentialsError):
    """A parameter cannot be read. Check its name, and that the task's grants let it be read and decrypted."""


@lru_cache(maxsize=256)
def parameter(path: str) -> str:
    """The decrypted value of a parameter of the parameter store, read once per process.

    Raises ParameterUnavailable.
    """
    with needs_extra("aws"):
        from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = aws_session().client("ssm", config=client_config()).get_parameter(Name=path, WithDecryption=True)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an unknown error")
        reason = {
            "ParameterNotFound": "it does not exist in this account and region",
            "AccessDeniedException": "this task's role may not read it",
            "InvalidKeyId": "the key that encrypts it cannot be used",
        }.get(code, f"the parameter store answered {code}")
        raise ParameterUnavailable(f"Parameter {path} cannot be read: {reason}.") from None
    except BotoCoreError as error:
        raise ParameterUnavailable(f"Parameter {path} cannot be read: {type(error).__name__}.") from None
    return answer["Parameter"]["Value"]


def database_token(host: str, port: int, user: str) -> str:
    """A password for the IAM authentication of RDS, valid for 15 minutes. It is signed here; nothing is sent.

    Raises CredentialsError.
    """
    with needs_extra("aws"):
        from botocore.exceptions import BotoCoreError

    try:
        client = aws_session().client("rds", config=client_config())
        token: str = client.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
    except BotoCoreError as error:
        raise CredentialsError(f"No token for database user {user} at {host}: {type(error).__name__}.") from None
    return token


def aws_session(role_arn: str | None = None, external_id: str | None = None) -> boto3.Session:
    """A session with this process's credentials, or in the role ``role_arn``.

    A role is assumed at the first request, and anew whenever its credentials are about to expire.
    """
    with needs_extra("aws"):
        import boto3

    with _lock:
        own = boto3.Session(botocore_session=_inner_session(), region_name=_region())
        if role_arn is None:
            return own
        inner = _inner_session()
        inner._credentials = _role_credentials(own, role_arn, external_id)  # type: ignore[attr-defined]  # the usual way: botocore has no setter
        return boto3.Session(botocore_session=inner, region_name=_region())


def _inner_session() -> botocore.session.Session:
    """Return a new session that shares the descriptions of services: reading them takes most of a client's making."""
    import botocore.session

    session = botocore.session.get_session()
    loader = _loader()
    loader.search_paths[:] = dict.fromkeys(loader.search_paths)  # each boto3 session appends its own folder
    session.register_component("data_loader", loader)
    return session


@lru_cache(maxsize=1)
def _loader() -> Loader:
    from botocore.loaders import create_loader

    return create_loader(os.environ.get("AWS_DATA_PATH"))


def client_config() -> Config:
    """Time-outs and retries of every AWS client: short to connect, ten attempts."""
    with needs_extra("aws"):
        from botocore.config import Config

    return Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 10},
        max_pool_connections=32,
        tcp_keepalive=True,
    )


def _role_credentials(own: boto3.Session, role_arn: str, external_id: str | None) -> Any:
    from botocore.credentials import DeferredRefreshableCredentials
    from botocore.exceptions import BotoCoreError, ClientError

    def assume() -> dict[str, str]:
        identity: dict[str, str] = {} if external_id is None else {"ExternalId": external_id}
        try:
            given = own.client("sts", config=client_config()).assume_role(
                RoleArn=role_arn,
                RoleSessionName=_session_name(),
                DurationSeconds=_ROLE_SECONDS,
                **identity,  # type: ignore[arg-type]  # mypy takes a mapping for all the other arguments
            )["Credentials"]
        except (ClientError, BotoCoreError) as error:
            answer = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
            raise CredentialsError(
                f"Role {role_arn} cannot be assumed ({answer}). Check that the task has a grant for it, that its trust "
                "policy names the task's role, and the external id."
            ) from None
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }

    return DeferredRefreshableCredentials(refresh_using=assume, method="assume-role")


def _session_name() -> str:
    """How the vendor's audit trail names the session: the task."""
    return f"nightferry-{os.environ.get(TASK_VARIABLE, 'task')}"[:64]


def _region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
