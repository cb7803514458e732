"""SFTP sessions with a pinned host key, and error messages for their failures.

Nothing is sent, not even the user's name, before the server proves that it has a key in ``SFTP_HOST_KEY``.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import paramiko
from paramiko.ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    ChannelException,
    IncompatiblePeer,
    SSHException,
)

from paidleave.operations.sftp.client import Client
from paidleave.operations.sftp.errors import ProtocolViolated, RequestRejected, SftpFailed
from paidleave.operations.sftp.host_keys import SIGNATURE_ALGORITHMS, HostKeys, format_fingerprint, parse_host_keys
from paidleave.operations.sftp.private_key import load_private_key
from paidleave.operations.sftp.settings import SftpToolSettings, split_uri

_OUR_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


@contextmanager
def open_session(settings: SftpToolSettings) -> Iterator[Client]:
    """Provide a session of the user in ``SFTP_URI``. Raises SftpFailed, also for errors during the session."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it logs tracebacks of errors that SftpFailed reports
    user, host, port = split_uri(settings.sftp_uri)
    phrase = settings.sftp_private_key_passphrase
    key = load_private_key(settings.sftp_private_key.get_secret_value(), phrase.get_secret_value() if phrase else None)
    host_keys = parse_host_keys(settings.sftp_host_key, host, port)
    with (
        _translate_errors(settings, f"{host}, port {port}"),
        closing(_connect(host, port, settings.sftp_timeout)) as connection,
    ):
        transport = paramiko.Transport(connection)
        try:
            with _limit_time(transport, 2 * settings.sftp_timeout), _translate_library_errors():
                _verify_host_key(transport, host_keys, settings.sftp_timeout)
                _log_in(transport, user, key, settings.sftp_timeout)
                client = _start_sftp(transport, settings)
            yield client
        finally:
            transport.close()


@contextmanager
def _limit_time(transport: paramiko.Transport, seconds: int) -> Iterator[None]:
    """End the library's waits that have no timeout by closing the connection. Raises TimeoutError."""
    is_expired = threading.Event()

    def expire() -> None:
        is_expired.set()
        transport.close()

    watchdog = threading.Timer(seconds, expire)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    except (SftpFailed, SSHException, EOFError):
        if is_expired.is_set():
            raise TimeoutError from None
        raise
    finally:
        watchdog.cancel()


@contextmanager
def _translate_library_errors() -> Iterator[None]:
    """Translate the errors that the library raises for invalid packets of a server, which are of any type."""
    try:
        yield
    except (SftpFailed, SSHException, EOFError, OSError, RequestRejected, ProtocolViolated):
        raise
    except Exception as error:
        raise ProtocolViolated(f"its packets are invalid ({type(error).__name__})") from None


def _connect(host: str, port: int, timeout: int) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout=timeout)
    except (socket.gaierror, UnicodeError):  # UnicodeError: a part of the name is empty or too long
        raise SftpFailed(f"Host {host} not found. Check SFTP_URI.") from None
    except TimeoutError:
        raise SftpFailed(
            f"{host}, port {port}, did not respond within {timeout} s. Check SFTP_URI, and that the network allows the "
            "connection: on AWS it needs a table [aws.egress.NAME] in the environment's file."
        ) from None
    except OSError as error:
        raise SftpFailed(f"Cannot connect to {host}, port {port}: {error.strerror}. Check SFTP_URI.") from None


def _verify_host_key(transport: paramiko.Transport, host_keys: HostKeys, timeout: int) -> None:
    """Exchange keys with the server, and check that its host key is one of ``host_keys``."""
    types = [algorithm for name, _ in host_keys.accepted for algorithm in SIGNATURE_ALGORITHMS[name]]
    options = transport.get_security_options()
    options.key_types = tuple(dict.fromkeys(types))  # otherwise the server may present a key of another type
    transport.banner_timeout = timeout
    try:
        transport.start_client(timeout=timeout)
    except IncompatiblePeer:
        raise SftpFailed(
            f"The server has no host key of the type in SFTP_HOST_KEY ({host_keys.types}), or no cipher in common with "
            "us. Nothing was sent. If the server has new keys, get them from its owner."
        ) from None
    if not transport.initial_kex_done:  # start_client returns without an error when it times out
        raise TimeoutError
    presented = transport.get_remote_server_key()
    key = presented.get_name(), presented.asbytes()
    fingerprint = f"{presented.get_name()} {format_fingerprint(presented.asbytes())}"
    if key in host_keys.revoked:
        raise SftpFailed(
            f"The server presented the host key {fingerprint}, which SFTP_HOST_KEY marks as revoked. The connection "
            "may be intercepted. Nothing was sent. Ask the server's owner through another channel."
        )
    if key not in host_keys.accepted:
        raise SftpFailed(
            f"The server's host key does not match SFTP_HOST_KEY: the server presented {fingerprint}, expected "
            f"{', '.join(format_fingerprint(data) for _, data in host_keys.accepted)}. The connection may be "
            "intercepted. Nothing was sent. Ask the server's owner through another channel if the key has changed."
        )


def _log_in(transport: paramiko.Transport, user: str, key: paramiko.PKey, timeout: int) -> None:
    transport.auth_timeout = timeout
    try:
        is_partial = transport.auth_publickey(user, key)
    except BadAuthenticationType:
        raise SftpFailed(
            "The server accepts no key from the user in SFTP_URI, only a password or another proof. Only keys are "
            "supported. Ask the server's owner to allow a login with a key."
        ) from None
    except AuthenticationException as error:
        words = str(error).lower()
        if "timeout" in words:
            raise TimeoutError from None
        if "transport shut down" in words:
            raise SftpFailed(
                "The server closed the connection during the login of the user in SFTP_URI. Ask its owner whether the "
                "user is locked, or has too many sessions."
            ) from None
        raise SftpFailed(
            "The server rejected the user in SFTP_URI. Check the user's name, and that the server has the public key "
            "of SFTP_PRIVATE_KEY."
        ) from None
    if is_partial:
        raise SftpFailed("The server requires more than a key, such as a password or a code. Only keys are supported.")


def _start_sftp(transport: paramiko.Transport, settings: SftpToolSettings) -> Client:
    """Open a channel and start the subsystem on it."""
    try:
        channel = transport.open_session(timeout=settings.sftp_timeout)
        channel.settimeout(settings.sftp_timeout)
        channel.invoke_subsystem("sftp")
        return Client(channel, settings.sftp_name_encoding)
    except ChannelException as error:
        raise SftpFailed(
            f"The server accepted the login, but no session: {error.text.lower()}. Ask its owner whether the user in "
            "SFTP_URI may use SFTP, and how many sessions it may have."
        ) from None
    except (SSHException, EOFError) as error:
        if "timeout" in str(error).lower():
            raise
        raise SftpFailed(
            "The server accepted the login, and then closed the session. Ask its owner whether the user in SFTP_URI "
            "may use SFTP and has a home folder."
        ) from None


@contextmanager
def _translate_errors(settings: SftpToolSettings, server: str) -> Iterator[None]:
    try:
        yield
    except RequestRejected as error:
        raise SftpFailed(f"{server}, rejected a request: {error}. Ask its owner.") from None
    except ProtocolViolated as error:
        raise SftpFailed(
            f"{server}, does not follow the SSH and SFTP protocols: {error}. Ask its owner; sftp -v "
            "shows what it sends."
        ) from None
    except (SSHException, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _OUR_DISK:
            raise SftpFailed(
                f"Cannot write the copy on this machine: {error.strerror}. Free space, and start the task again."
            ) from None
        words = str(error).lower()
        if isinstance(error, TimeoutError) or "timeout" in words or "banner" in words:
            problem = f"{server}, did not respond for {settings.sftp_timeout} s (SFTP_TIMEOUT), or is not an SSH server"
        else:
            problem = f"The connection to {server}, was lost"
        if settings.action == "put" and not settings.temporary_file:
            advice = "The file on the server may be incomplete. Start the task again with REPLACE=true"
        else:
            advice = "No incomplete file has the target's name. Start the task again"
        raise SftpFailed(f"{problem}. {advice}.") from None
