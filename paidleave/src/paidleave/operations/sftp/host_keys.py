"""The server's host keys, in the format of OpenSSH's ``known_hosts`` (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from paidleave.operations.sftp.errors import SftpFailed

HostKey = tuple[str, bytes]
"""A key's type and its encoding on the wire (RFC 4253, 6.6)."""

# RSA keys sign only with SHA-2, because SHA-1 signatures can be forged.
SIGNATURE_ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""The types of host keys that are supported, and the algorithms with which such a key may sign."""

_REVOKED = "@revoked"
_AUTHORITY = "@cert-authority"


@dataclass(frozen=True)
class HostKeys:
    """The keys that identify a server, and those that are revoked."""

    accepted: tuple[HostKey, ...]
    revoked: frozenset[HostKey]

    @property
    def types(self) -> str:
        """The types of the accepted keys, separated by commas."""
        return ", ".join(dict.fromkeys(name for name, _ in self.accepted))


def parse_host_keys(text: str, host: str, port: int) -> HostKeys:
    """Return the keys of a server from the lines of ``SFTP_HOST_KEY``. Raises SftpFailed if none identifies it.

    A line without host names, as in a ``.pub`` file, is about this server.
    """
    names = _list_names(host, port)
    found: list[HostKey] = []
    revoked: set[HostKey] = set()
    unusable: dict[str, None] = {}  # reasons, in order
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if marker not in ("", _REVOKED, _AUTHORITY):
            raise SftpFailed(f"Line {number} of SFTP_HOST_KEY has the unknown marker {marker}. Remove the line.")
        key, hosts = _parse_key(words[:2]), ""
        if key is None:
            key, hosts = _parse_key(words[1:3]), words[0] if words else ""
        if key is None:
            raise SftpFailed(
                f"Line {number} of SFTP_HOST_KEY is not a public key. Set it to a line such as 'ssh-ed25519 AAAA…' "
                "from the server's owner or from ssh-keyscan; compare the fingerprint with the owner's."
            )
        if hosts and not _matches(hosts, names):
            unusable["its lines name other hosts"] = None
        elif marker == _REVOKED:
            revoked.add(key)
            unusable["a key is revoked"] = None
        elif marker == _AUTHORITY or "-cert-v01@" in key[0]:
            unusable["certificates are not supported"] = None
        elif key[0] not in SIGNATURE_ALGORITHMS:
            unusable[f"{key[0]} keys are not supported"] = None
        else:
            found.append(key)
    accepted = tuple(dict.fromkeys(key for key in found if key not in revoked))
    if not accepted:
        reasons = "; ".join(unusable) or "it has only comments"
        raise SftpFailed(
            f"SFTP_HOST_KEY contains no key of {host}, port {port}: {reasons}. Add the server's own key, from its "
            f"owner or from ssh-keyscan -p {port} {host}; compare the fingerprint with the owner's."
        )
    return HostKeys(accepted, frozenset(revoked))


def format_fingerprint(key: bytes) -> str:
    """Return a public key's fingerprint in the format of ``ssh-keygen -l``."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _parse_key(words: list[str]) -> HostKey | None:
    """Return the key of a type and its base64 encoding, or None if they are not a key of that type."""
    try:
        name, encoded = words
        data = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        return None
    if data[4 : 4 + int.from_bytes(data[:4], "big")] != name.encode("utf-8", "replace"):
        return None
    if name in SIGNATURE_ALGORITHMS:
        try:
            load_ssh_public_key(f"{name} {encoded}".encode())
        except (ValueError, UnsupportedAlgorithm):
            return None  # such as the first part of a key
    return name, data


def _list_names(host: str, port: int) -> list[str]:
    """Return the names of a server in ``known_hosts``: the host, and the host with the port."""
    hosts = [host.lower()]
    with suppress(ValueError):  # not an address
        hosts.append(ipaddress.ip_address(host).compressed)
    return [name for host in dict.fromkeys(hosts) for name in (host, f"[{host}]:{port}")]


def _matches(hosts: str, names: list[str]) -> bool:
    """Return True if the host names of a line include the server. A negated pattern that matches excludes it."""
    if hosts.startswith("|"):
        return any(_is_hash(hosts, name) for name in names)
    found = False
    for pattern in hosts.lower().split(","):
        text = re.escape(pattern.removeprefix("!")).replace(r"\*", ".*").replace(r"\?", ".")
        if any(re.fullmatch(text, name) for name in names):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _is_hash(hashed: str, name: str) -> bool:
    """Return True if a hashed host name, ``|1|SALT|HMAC-SHA1``, is that of ``name``."""
    try:
        _, version, salt, digest = hashed.split("|")
        expected = base64.b64decode(digest)
        return version == "1" and hmac.digest(base64.b64decode(salt), name.encode(), "sha1") == expected
    except (ValueError, binascii.Error):
        return False
