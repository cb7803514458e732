"""A session with an SFTP server whose host key is pinned, and its errors in words.

Nothing is sent, not even the user's name, before the server has shown the key that ``SFTP_HOST_KEY`` names.
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

# RSA keys sign with SHA-2 only; SHA-1 signatures are broken.
_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
_KEY_KINDS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


class SftpFailed(JobFailed):
    """The SFTP server refused, is another, did not answer, or has not what was asked for; the message says which."""


@contextmanager
def session(settings: SftpToolSettings) -> Iterator[paramiko.SFTPClient]:
    """A session as the user of ``SFTP_URI``. Raises SftpFailed, also for what goes wrong while it is used."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it logs tracebacks of what is told here in words
    uri = urlsplit(settings.sftp_uri)
    host, port = uri.hostname or "", uri.port or 22
    key = _private_key(settings)
    pinned = _pinned(settings)
    with _told(settings, f"{host}, port {port}"), closing(_connected(host, port, settings.sftp_timeout)) as connection:
        transport = paramiko.Transport(connection)
        # Some of the library's waits have no end; closing the connection ends them.
        patience = threading.Timer(2 * settings.sftp_timeout, transport.close)
        patience.daemon = True
        patience.start()
        try:
            _greet(transport, pinned, settings.sftp_timeout)
            transport.auth_timeout = settings.sftp_timeout
            if transport.auth_publickey(uri.username or "", key):
                raise SftpFailed(
                    f"{host} wants more than a key from its user: a password or a code, which we have not."
                )
            channel = transport.open_session(timeout=settings.sftp_timeout)
            channel.settimeout(settings.sftp_timeout)
            channel.invoke_subsystem("sftp")
            client = paramiko.SFTPClient(channel)
            patience.cancel()
            yield client
        finally:
            patience.cancel()
            transport.close()


def _connected(host: str, port: int, timeout: int) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout=timeout)
    except socket.gaierror:
        raise SftpFailed(f"There is no host {host}. Check SFTP_URI.") from None
    except TimeoutError:
        raise SftpFailed(
            f"{host}, port {port}, did not answer within {timeout} s. Check SFTP_URI, and that the way is open: on AWS "
            "by a table [aws.egress.NAME] of the environment."
        ) from None
    except OSError as error:
        raise SftpFailed(f"{host}, port {port}, cannot be reached: {error.strerror}. Check SFTP_URI.") from None


def _greet(transport: paramiko.Transport, pinned: list[tuple[str, bytes]], timeout: int) -> None:
    """Agree on a key with the server, and see that it is the server that it should be."""
    kinds = [kind for name, _ in pinned for kind in _ALGORITHMS.get(name, (name,))]
    options = transport.get_security_options()
    options.key_types = tuple(dict.fromkeys(kinds))  # else the server may show a key of another kind
    transport.banner_timeout = timeout
    try:
        transport.start_client(timeout=timeout)
    except IncompatiblePeer:
        raise SftpFailed(
            f"The server has no host key of the kind that SFTP_HOST_KEY names ({', '.join(n for n, _ in pinned)}), or "
            "shares no cipher with us. Nothing was sent. If the server has got new keys, ask its owner for them."
        ) from None
    if not transport.initial_kex_done:  # start_client returns when its time is over
        raise TimeoutError
    shown = transport.get_remote_server_key()
    if (shown.get_name(), shown.asbytes()) not in pinned:
        raise SftpFailed(
            f"The server's host key is not that of SFTP_HOST_KEY: it showed {shown.get_name()} "
            f"{fingerprint(shown.asbytes())}, and {', '.join(fingerprint(data) for _, data in pinned)} is pinned. "
            "Somebody may stand between. Nothing was sent. Ask the server's owner, by another way, whether its key has "
            "changed."
        )


def fingerprint(key: bytes) -> str:
    """A public key's fingerprint, as ``ssh-keygen -l`` shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _pinned(settings: SftpToolSettings) -> list[tuple[str, bytes]]:
    """The keys of ``SFTP_HOST_KEY``, one a line: kind and base64, as in a ``.pub`` file or after a host's name."""
    found = []
    for line in settings.sftp_host_key.replace(",ssh", "\nssh").splitlines():
        words = line.split()
        kinds = [n for n, word in enumerate(words) if word.startswith(("ssh-", "ecdsa-"))]
        if not words:
            continue
        try:
            name, data = words[kinds[0]], base64.b64decode(words[kinds[0] + 1], validate=True)
            is_key = data[4 : 4 + int.from_bytes(data[:4], "big")] == name.encode()
        except (IndexError, binascii.Error):
            is_key = False
        if not is_key:
            raise SftpFailed(
                "SFTP_HOST_KEY is no public key. It is a line such as 'ssh-ed25519 AAAA…', which the server's owner "
                "tells, or ssh-keyscan shows (compare its fingerprint with the owner's)."
            )
        found.append((name, data))
    return found


def _private_key(settings: SftpToolSettings) -> paramiko.PKey:
    text = settings.sftp_private_key.get_secret_value().strip() + "\n"
    phrase = settings.sftp_private_key_passphrase
    for kind in _KEY_KINDS:
        try:
            return kind.from_private_key(io.StringIO(text), phrase.get_secret_value() if phrase else None)
        except PasswordRequiredException:
            raise SftpFailed("SFTP_PRIVATE_KEY has a passphrase: set SFTP_PRIVATE_KEY_PASSPHRASE.") from None
        except (SSHException, ValueError, IndexError, UnicodeDecodeError):
            continue
    raise SftpFailed(
        "SFTP_PRIVATE_KEY is no private key of the kinds ed25519, ecdsa or rsa"
        + (", or SFTP_PRIVATE_KEY_PASSPHRASE is not its passphrase." if phrase else ".")
    )


@contextmanager
def _told(settings: SftpToolSettings, server: str) -> Iterator[None]:
    try:
        yield
    except AuthenticationException:
        raise SftpFailed(f"{server}, does not let the user of SFTP_URI in with SFTP_PRIVATE_KEY.") from None
    except (SSHException, EOFError, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError) and error.errno:
            raise  # the disk's, or storage's
        words = str(error).lower()
        if isinstance(error, TimeoutError) or "timeout" in words or "banner" in words:
            what = f"{server}, did not answer for {settings.sftp_timeout} s (SFTP_TIMEOUT), or speaks no SSH"
        else:
            what = f"The connection to {server}, was lost ({type(error).__name__})"
        raise SftpFailed(f"{what}. What was begun is not there under its name; start it again.") from None
