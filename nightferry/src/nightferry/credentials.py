"""Secrets, database tokens and assumed roles from AWS.

``AWS_REGION`` or ``AWS_DEFAULT_REGION`` sets the region. ``AWS_ENDPOINT_URL`` overrides the endpoint.
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
"""Validity of an assumed role's credentials. AWS refuses longer ones if a role assumes another role."""

_lock = threading.Lock()  # creating boto3 sessions is not thread-safe


class CredentialsError(NightferryError):
    """AWS did not provide a secret, token or role. The message has its name and the error from AWS."""


class ParameterUnavailable(CredentialsError):
    """A parameter cannot be read. Check its name, and that the task's grants allow reading and decrypting it."""


@lru_cache(maxsize=256)
def parameter(path: str) -> str:
    """Return the decrypted value of a parameter in the SSM Parameter Store, read once per process.

    Raises ParameterUnavailable.
    """
    with needs_extra("aws"):
        from botocore.exceptions import BotoCoreError, ClientError

        from nightferry.aws_responses import IncompleteResponse, UnusableResponse

    try:
        response = aws_session().client("ssm", config=client_config()).get_parameter(Name=path, WithDecryption=True)
        return response["Parameter"]["Value"]
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an unknown error")
        reason = {
            "ParameterNotFound": "it does not exist in this account and region",
            "AccessDeniedException": "this task's role is not allowed to read it",
            "InvalidKeyId": "the key that encrypts it cannot be used",
        }.get(code, f"the Parameter Store returned {code}")
        raise ParameterUnavailable(f"Cannot read parameter {path}: {reason}.") from None
    except (UnusableResponse, IncompleteResponse) as error:
        raise ParameterUnavailable(f"Cannot read parameter {path}: {error}") from None
    except BotoCoreError as error:
        raise ParameterUnavailable(f"Cannot read parameter {path}: {type(error).__name__}.") from None


def database_token(host: str, port: int, user: str) -> str:
    """Return a password for RDS IAM authentication, valid for 15 minutes. It is signed locally, without a request.

    Raises CredentialsError.
    """
    with needs_extra("aws"):
        from botocore.exceptions import BotoCoreError

    try:
        client = aws_session().client("rds", config=client_config())
        token: str = client.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
    except BotoCoreError as error:
        raise CredentialsError(
            f"Cannot create a token for database user {user} at {host}: {type(error).__name__}."
        ) from None
    return token


def aws_session(role_arn: str | None = None, external_id: str | None = None) -> boto3.Session:
    """Return a session with this process's credentials, or with those of the role ``role_arn``.

    The role is assumed at the first request, and again whenever its credentials are about to expire.
    """
    with needs_extra("aws"):
        import boto3

        from nightferry.aws_responses import read_by_model

    with _lock:
        own = read_by_model(boto3.Session(botocore_session=new_botocore_session(), region_name=_find_region()))
        if role_arn is None:
            return own
        inner = new_botocore_session()
        inner._credentials = _create_role_credentials(own, role_arn, external_id)  # type: ignore[attr-defined]  # the usual way: botocore has no setter
        return read_by_model(boto3.Session(botocore_session=inner, region_name=_find_region()))


def new_botocore_session() -> botocore.session.Session:
    """Return a session for ``boto3.Session(botocore_session=…)`` that shares the service descriptions with the others.

    Loading the descriptions dominates the time to create a client.
    """
    import botocore.session

    session = botocore.session.get_session()
    loader = _get_loader()
    loader.search_paths[:] = dict.fromkeys(loader.search_paths)  # each boto3 session appends its own folder
    session.register_component("data_loader", loader)
    return session


@lru_cache(maxsize=1)
def _get_loader() -> Loader:
    from botocore.loaders import create_loader

    return create_loader(os.environ.get("AWS_DATA_PATH"))


def client_config() -> Config:
    """Return the timeouts and retries of every AWS client: a short connection timeout and ten attempts."""
    with needs_extra("aws"):
        from botocore.config import Config

    return Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 10},
        max_pool_connections=32,
        tcp_keepalive=True,
    )


def _create_role_credentials(own: boto3.Session, role_arn: str, external_id: str | None) -> Any:
    from botocore.credentials import DeferredRefreshableCredentials
    from botocore.exceptions import BotoCoreError, ClientError

    from nightferry.aws_responses import IncompleteResponse, UnusableResponse

    def assume() -> dict[str, str]:
        identity: dict[str, str] = {} if external_id is None else {"ExternalId": external_id}
        try:
            given = own.client("sts", config=client_config()).assume_role(
                RoleArn=role_arn,
                RoleSessionName=_make_session_name(),
                DurationSeconds=_ROLE_SECONDS,
                **identity,  # type: ignore[arg-type]  # mypy takes a mapping for all the other arguments
            )["Credentials"]
            return {
                "access_key": given["AccessKeyId"],
                "secret_key": given["SecretAccessKey"],
                "token": given["SessionToken"],
                "expiry_time": given["Expiration"].isoformat(),
            }
        except (UnusableResponse, IncompleteResponse) as error:
            raise CredentialsError(f"Cannot assume role {role_arn}: {error}") from None
        except (ClientError, BotoCoreError) as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
            raise CredentialsError(
                f"Cannot assume role {role_arn} ({code}). Check that the task has a grant for the role, that the "
                "role's trust policy names the task's role, and that the external ID is correct."
            ) from None

    return DeferredRefreshableCredentials(refresh_using=assume, method="assume-role")


def _make_session_name() -> str:
    """Return the session's name in the vendor's audit trail, which identifies the task."""
    return f"nightferry-{os.environ.get(TASK_VARIABLE, 'task')}"[:64]


def _find_region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
