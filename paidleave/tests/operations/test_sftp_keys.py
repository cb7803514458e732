"""Private keys in each format, and host keys in the format of ``known_hosts``, written by OpenSSH and OpenSSL."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from nightferry.testing.tiers import LONG
from paidleave.operations.sftp.errors import SftpFailed
from paidleave.operations.sftp.host_keys import HostKeys, parse_host_keys
from paidleave.operations.sftp.private_key import load_private_key
from tests.operations.sftp_server import PASSPHRASE

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl not found")

KINDS = {
    "RSA": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "P-256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "P-521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "Ed25519": ["-algorithm", "ED25519"],
}
FORMATS = {
    "PKCS#8": ["pkcs8", "-topk8", "-nocrypt"],
    "PKCS#8 with a passphrase": ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", f"pass:{PASSPHRASE}"],
    "PKCS#8 with scrypt": ["pkcs8", "-topk8", "-scrypt", "-passout", f"pass:{PASSPHRASE}"],
    "traditional": ["pkey", "-traditional"],
    "traditional with a passphrase": ["pkey", "-traditional", "-aes128", "-passout", f"pass:{PASSPHRASE}"],
}


def openssl(*arguments: str, given: str = "") -> str:
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    return {kind: openssl("genpkey", *options) for kind, options in KINDS.items()}


def read_public_key(private: str) -> str:
    """Return the public key by OpenSSL, as type and base64."""
    public = load_pem_public_key(openssl("pkey", "-pubout", given=private).encode())
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", KINDS if LONG else [kind for kind in KINDS if kind != "P-521"])
def test_every_format_of_a_key_is_read(generated: dict[str, str], kind: str, tmp_path: Path) -> None:
    private = generated[kind]
    has_own_format = kind != "Ed25519"  # older than PKCS#8; ssh-keygen reads Ed25519 keys in PKCS#8 only since 9.6
    formats = [name for name in FORMATS if has_own_format or "traditional" not in name]
    texts = {name: openssl(*FORMATS[name], given=private) for name in formats}
    for name, phrase in {"OpenSSH": "", "OpenSSH with a passphrase": PASSPHRASE}.items() if has_own_format else ():
        file = tmp_path / "key"
        file.write_text(private)
        file.chmod(0o600)
        change = ["ssh-keygen", "-q", "-p", "-a", "1", "-P", "", "-N", phrase, "-f", file]
        subprocess.run(change, check=True, capture_output=True)
        texts[name] = file.read_text()
    texts["with attributes"] = f"Bag Attributes\n    friendlyName: sftp\n{private}"
    texts["with Windows' line ends"] = private.replace("\n", "\r\n")
    texts["indented, with a byte order mark"] = "\ufeff" + private.replace("\n", "\n    ")
    if kind == "P-256":
        texts["with the curve"] = openssl("ecparam", "-name", "prime256v1") + texts["traditional"]
    for name, text in texts.items():
        key = load_private_key(text, PASSPHRASE)  # a passphrase that the key does not need is ignored
        assert f"{key.get_name()} {key.get_base64()}" == read_public_key(private), name
        if "passphrase" in name:
            for phrase, message in ((None, "SFTP_PRIVATE_KEY has a passphrase"), ("no", "cannot be decrypted")):
                with pytest.raises(SftpFailed, match=message):
                    load_private_key(text, phrase)


def test_what_is_not_a_supported_private_key_is_named(generated: dict[str, str], tmp_path: Path) -> None:
    private = generated["P-256"]
    traditional = openssl("ec", given=private)
    public, lines = read_public_key(private), private.splitlines()
    texts = {
        public: "is a public key",
        openssl("pkey", "-pubout", given=private): "is a public key",
        "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----": "is a public key",
        "ecdsa-sha2-nistp256-cert-v01@openssh.com AAAA me": "is a certificate",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----": "is a certificate",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOY\n-----END PGP PRIVATE KEY BLOCK-----": "is a GPG key",
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none": "is in PuTTY's format",
        "\n".join(lines[:-1]): "is incomplete: its last line is missing",
        "\n".join([lines[0], *lines[2:]]): "is damaged",
        private.replace("\n", " "): "has lost its line ends",
        private.replace("\n", "\\n"): "has lost its line ends",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----": "is damaged",
        "rubbish": "is not a private key. Supported are Ed25519",
        openssl("genpkey", "-algorithm", "ED448"): "has a type that is not supported",
        openssl("genpkey", "-algorithm", "X25519"): "has a type that is not supported",
        openssl("ecparam", "-name", "secp256k1", "-genkey", "-noout"): "has a type that is not supported",
        openssl("genrsa", "512"): "is an RSA key of 512 bits",
    }
    for text, expected in texts.items():
        with pytest.raises(SftpFailed) as raised:
            load_private_key(text, None)
        message = str(raised.value)
        assert message.startswith(f"SFTP_PRIVATE_KEY {expected}"), text
        assert not any(line in message for line in (*lines, *traditional.splitlines()))


def make_public_key(folder: Path, kind: str = "ed25519") -> str:
    file = folder / f"host_{kind}_{len(list(folder.iterdir()))}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "a comment", "-f", file], check=True)
    return file.with_name(f"{file.name}.pub").read_text().strip()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("keys")
    return [make_public_key(folder), make_public_key(folder), make_public_key(folder, "ecdsa")]


def parse(text: str, host: str = "sftp.example.org", port: int = 22) -> HostKeys:
    return parse_host_keys(text, host, port)


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("", "sftp.example.org", 22),
        ("sftp.example.org ", "sftp.example.org", 22),
        ("other.example.org,SFTP.Example.org,192.0.2.1 ", "sftp.example.org", 22),
        ("sftp.example.org ", "sftp.example.org", 2222),  # as OpenSSH: without a port, it is about each port
        ("[sftp.example.org]:2222 ", "sftp.example.org", 2222),
        ("*.example.org ", "sftp.example.org", 22),
        ("sftp?.example.org,!sftp2.example.org ", "sftp1.example.org", 22),
        ("[*.example.org]:2222 ", "sftp.example.org", 2222),
        ("2001:db8::1 ", "2001:db8::1", 22),
        ("2001:db8::1 ", "2001:0db8:0:0::1", 22),
        ("[2001:db8::1]:2222 ", "2001:db8::1", 2222),
        # Names that begin like the type of a key.
        ("ssh-rsa.example.org ", "ssh-rsa.example.org", 22),
        ("other.example.org,ssh-ed25519 ", "ssh-ed25519", 22),
        ("ecdsa-sha2-nistp256 ", "ecdsa-sha2-nistp256", 22),
        ("sk-ssh.example.org,ssh-1.example.org ", "ssh-1.example.org", 22),
    ],
)
def test_lines_about_the_server_are_used(keys: list[str], hosts: str, host: str, port: int) -> None:
    types = [(key.split()[0]) for key in keys]
    found = parse("\r\n".join(f"{hosts}{key}" for key in keys) + "\r\n", host, port)
    assert [name for name, _ in found.accepted] == types
    assert found.revoked == frozenset()


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("other.example.org", "sftp.example.org", 22),
        ("example.org", "sftp.example.org", 22),
        ("[sftp.example.org]:2222", "sftp.example.org", 2223),
        ("*,!sftp.example.org", "sftp.example.org", 22),
        ("!sftp.example.org,*", "sftp.example.org", 22),
        ("*,!sftp.example.org", "sftp.example.org", 2222),
        ("sftp.[e]xample.org", "sftp.example.org", 22),  # brackets are not a pattern
        ("sftpxexample.org", "sftp.example.org", 22),
        ("ssh-rsa.example.org", "ssh-rsa", 22),
        ("2001:db8::1", "2001:db8::2", 22),
        ("|1|AAAA|AAAA", "sftp.example.org", 22),
        ("|2|AAAA|AAAA", "sftp.example.org", 22),
        ("|1|!|", "sftp.example.org", 22),
    ],
)
def test_lines_about_other_servers_are_not_used(keys: list[str], hosts: str, host: str, port: int) -> None:
    with pytest.raises(SftpFailed, match="its lines name other hosts"):
        parse(f"{hosts} {keys[0]}", host, port)
    assert len(parse(f"{hosts} {keys[0]}\n{keys[1]}", host, port).accepted) == 1


@pytest.mark.parametrize(
    ("host", "port"), [("sftp.example.org", 22), ("sftp.example.org", 2222), ("2001:db8::1", 2222)]
)
def test_host_names_that_openssh_hashed(keys: list[str], tmp_path: Path, host: str, port: int) -> None:
    name = host if port == 22 else f"[{host}]:{port}"
    file = tmp_path / "known_hosts"
    file.write_text(f"{name} {keys[0]}\nother.example.org {keys[1]}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert host not in file.read_text()
    ((name, _),) = parse(file.read_text(), host, port).accepted
    assert name == "ssh-ed25519"


def test_markers_are_honored(keys: list[str]) -> None:
    first, second, third = keys
    found = parse(f"# comment\n\n@revoked * {first}\n{first}\n  @cert-authority *.example.org {third}\n{second}")
    assert len(found.accepted) == 1
    assert len(found.revoked) == 1
    assert found.accepted[0] not in found.revoked
    with pytest.raises(SftpFailed, match=r"no key of sftp\.example\.org, port 22: a key is revoked\."):
        parse(f"@revoked {first}\nsftp.example.org {first}")
    with pytest.raises(SftpFailed, match="certificates are not supported"):
        parse(f"@cert-authority *.example.org {first}")
    with pytest.raises(SftpFailed, match="its lines name other hosts"):
        parse(f"@revoked other.example.org {first}")
    assert parse(f"@revoked other.example.org {first}\n{first}").revoked == frozenset()
    with pytest.raises(SftpFailed, match="Line 2 of SFTP_HOST_KEY has the unknown marker @trusted"):
        parse(f"{first}\n@trusted * {second}")


def test_lines_that_identify_no_server_are_reported(keys: list[str]) -> None:
    half = keys[2][: len(keys[2]) // 2]
    for line in (
        "ssh-ed25519",
        "AAAA",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 AAAA",
        "SHA256:abc",
        "@revoked",
        "a b c",
        half,
    ):
        with pytest.raises(SftpFailed, match="Line 2 of SFTP_HOST_KEY is not a public key"):
            parse(f"{keys[0]}\n{line}")
    for text in ("# only a comment", "\ufeff\n"):
        with pytest.raises(SftpFailed, match="it has only comments"):
            parse(text)
    old = "ssh-dss AAAAB3NzaC1kc3MAAACBAA=="
    with pytest.raises(SftpFailed, match="ssh-dss keys are not supported"):
        parse(old)
    assert len(parse(f"{old}\n{keys[0]}").accepted) == 1
