"""SFTP sessions with a pinned host key, and error messages for their failures.

Nothing is sent, not even the user's name, before the server proves that it has the key in ``SFTP_HOST_KEY``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import paramiko
from paramiko.ssh_exception import AuthenticationException, IncompatiblePeer, PasswordRequiredException, SSHException

from nightferry.job import JobFailed
from paidleave.operations.settings import SftpToolSettings

# RSA keys sign only with SHA-2, because SHA-1 signatures can be forged.
_SIGNATURE_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
_KEY_TYPES = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


class SftpFailed(JobFailed):
    """An SFTP server could not be reached or identified, refused a request, or does not have the file."""


@contextmanager
def open_session(settings: SftpToolSettings) -> Iterator[paramiko.SFTPClient]:
    """Provide a session of the user in ``SFTP_URI``. Raises SftpFailed, also for errors during the session."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it logs tracebacks of errors that SftpFailed reports
    uri = urlsplit(settings.sftp_uri)
    host, port = uri.hostname or "", uri.port or 22
    key = _load_private_key(settings)
    host_keys = _parse_host_keys(settings)
    with (
        _translate_errors(settings, f"{host}, port {port}"),
        closing(_connect(host, port, settings.sftp_timeout)) as connection,
    ):
        transport = paramiko.Transport(connection)
        # Some of the library's waits have no timeout; closing the connection ends them.
        watchdog = threading.Timer(2 * settings.sftp_timeout, transport.close)
        watchdog.daemon = True
        watchdog.start()
        try:
            _verify_host_key(transport, host_keys, settings.sftp_timeout)
            transport.auth_timeout = settings.sftp_timeout
            if transport.auth_publickey(uri.username or "", key):
                raise SftpFailed(
                    f"{host} requires more than a key, such as a password or a code. Only keys are supported."
                )
            channel = transport.open_session(timeout=settings.sftp_timeout)
            channel.settimeout(settings.sftp_timeout)
            channel.invoke_subsystem("sftp")
            client = paramiko.SFTPClient(channel)
            watchdog.cancel()
            yield client
        finally:
            watchdog.cancel()
            transport.close()


def _connect(host: str, port: int, timeout: int) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout=timeout)
    except socket.gaierror:
        raise SftpFailed(f"Host {host} not found. Check SFTP_URI.") from None
    except TimeoutError:
        raise SftpFailed(
            f"{host}, port {port}, did not respond within {timeout} s. Check SFTP_URI, and that the network allows the "
            "connection: on AWS it needs a table [aws.egress.NAME] in the environment's file."
        ) from None
    except OSError as error:
        raise SftpFailed(f"Cannot connect to {host}, port {port}: {error.strerror}. Check SFTP_URI.") from None


def _verify_host_key(transport: paramiko.Transport, host_keys: list[tuple[str, bytes]], timeout: int) -> None:
    """Exchange keys with the server, and check that its host key is one of ``host_keys``."""
    types = [type_ for name, _ in host_keys for type_ in _SIGNATURE_ALGORITHMS.get(name, (name,))]
    options = transport.get_security_options()
    options.key_types = tuple(dict.fromkeys(types))  # otherwise the server may present a key of another type
    transport.banner_timeout = timeout
    try:
        transport.start_client(timeout=timeout)
    except IncompatiblePeer:
        raise SftpFailed(
            f"The server has no host key of the type in SFTP_HOST_KEY ({', '.join(n for n, _ in host_keys)}), or no "
            "cipher in common with us. Nothing was sent. If the server has new keys, get them from its owner."
        ) from None
    if not transport.initial_kex_done:  # start_client returns without an error when it times out
        raise TimeoutError
    presented = transport.get_remote_server_key()
    if (presented.get_name(), presented.asbytes()) not in host_keys:
        raise SftpFailed(
            f"The server's host key does not match SFTP_HOST_KEY: the server presented {presented.get_name()} "
            f"{format_fingerprint(presented.asbytes())}, expected "
            f"{', '.join(format_fingerprint(data) for _, data in host_keys)}. The connection may be intercepted. "
            "Nothing was sent. Ask the server's owner through another channel if the key has changed."
        )


def format_fingerprint(key: bytes) -> str:
    """Return a public key's fingerprint in the format of ``ssh-keygen -l``."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _parse_host_keys(settings: SftpToolSettings) -> list[tuple[str, bytes]]:
    """Parse ``SFTP_HOST_KEY``: one key per line, type and base64, as in a ``.pub`` or ``known_hosts`` file."""
    found = []
    for line in settings.sftp_host_key.replace(",ssh", "\nssh").splitlines():
        words = line.split()
        types = [n for n, word in enumerate(words) if word.startswith(("ssh-", "ecdsa-"))]
        if not words:
            continue
        try:
            name, data = words[types[0]], base64.b64decode(words[types[0] + 1], validate=True)
            is_key = data[4 : 4 + int.from_bytes(data[:4], "big")] == name.encode()
        except (IndexError, binascii.Error):
            is_key = False
        if not is_key:
            raise SftpFailed(
                "SFTP_HOST_KEY is not a public key. Set it to a line such as 'ssh-ed25519 AAAA…' from the server's "
                "owner or from ssh-keyscan; compare the fingerprint with the owner's."
            )
        found.append((name, data))
    return found


def _load_private_key(settings: SftpToolSettings) -> paramiko.PKey:
    text = settings.sftp_private_key.get_secret_value().strip() + "\n"
    phrase = settings.sftp_private_key_passphrase
    for type_ in _KEY_TYPES:
        try:
            return type_.from_private_key(io.StringIO(text), phrase.get_secret_value() if phrase else None)
        except PasswordRequiredException:
            raise SftpFailed("SFTP_PRIVATE_KEY has a passphrase. Set SFTP_PRIVATE_KEY_PASSPHRASE.") from None
        except (SSHException, ValueError, IndexError, UnicodeDecodeError):
            continue
    raise SftpFailed(
        "SFTP_PRIVATE_KEY is not an ed25519, ecdsa or rsa private key"
        + (", or SFTP_PRIVATE_KEY_PASSPHRASE is not its passphrase." if phrase else ".")
    )


@contextmanager
def _translate_errors(settings: SftpToolSettings, server: str) -> Iterator[None]:
    try:
        yield
    except AuthenticationException:
        raise SftpFailed(
            f"{server}, rejected the user in SFTP_URI. Check the user's name, and that the server has the public key "
            "of SFTP_PRIVATE_KEY."
        ) from None
    except (SSHException, EOFError, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError) and error.errno:
            raise  # an error of the disk or the storage, not of the session
        words = str(error).lower()
        if isinstance(error, TimeoutError) or "timeout" in words or "banner" in words:
            problem = f"{server}, did not respond for {settings.sftp_timeout} s (SFTP_TIMEOUT), or is not an SSH server"
        else:
            problem = f"The connection to {server}, was lost ({type(error).__name__})"
        raise SftpFailed(f"{problem}. No incomplete file has the target's name. Start the task again.") from None
