"""Each kind of file that is not a good message fails with its true cause; good messages of all kinds are decrypted.

The files are made by the real gpg, or by the independent builder in :mod:`.messages`.
"""

from __future__ import annotations

import bz2
import io
import logging
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from nightferry.testing.tiers import LONG
from paidleave.dor import encryption
from paidleave.dor.encryption import Cause, DecryptionFailed, decrypting
from paidleave.dor.encryption.failure_cause import find_cause
from paidleave.dor.encryption.openpgp import Content, Framing
from tests.dor.encryption.messages import (
    build_aead_message,
    build_message,
    build_unprotected_message,
    gpg,
    literal,
    packet,
    read_recipient,
    session_key_packet,
    stop_agent,
)

TEXT = b"".join(b"%06d a line of a file\n" % n for n in range(3000))
YEAR_2024 = ("--ignore-time-conflict", "--ignore-valid-from", "--faked-system-time", "20240201T000000!")


OUR_KEYS = [
    ("own", "20230101T000000", ("ed25519", "rsa2048"), "0"),
    ("expired", "20240101T000000", ("ed25519", "cv25519"), "20250101T000000"),
]


class Maker:
    """Our key, the keys of senders, and a file of each kind."""

    def __init__(self, folder: Path) -> None:
        self.us, self.sender = folder / "us", folder / "sender"
        for name, made, algorithms, expires in OUR_KEYS:
            self._make(self.us, name, made, algorithms, expires)
            gpg(self.sender, "--import", data=gpg(self.us, "--export", name))
        for name, expires in (("signer", "0"), ("stranger", "0"), ("late", "20250101T000000"), ("revoked", "0")):
            made = ("--faked-system-time", "20240101T000000!")
            gpg(self.sender, *made, "--quick-generate-key", name, "ed25519", "sign", expires)
        self.recipient = read_recipient(self.us, "own")
        self.plain = self.encrypt()
        self.signed = self.encrypt("-u", "signer", "--sign")
        self.signed_by_revoked = self.encrypt("-u", "revoked", "--sign")
        self._revoke(self.sender, "revoked")
        self.files = self._declare_files()

    @staticmethod
    def _make(home: Path, name: str, made: str, algorithms: tuple[str, str], expires: str) -> None:
        time = ("--faked-system-time", f"{made}!")  # The time stands still, so that the key is not made in the future.
        gpg(home, *time, "--quick-generate-key", name, algorithms[0], "cert", expires)
        gpg(home, *time, "--quick-add-key", read_fingerprint(home, name), algorithms[1], "encr", expires)

    @staticmethod
    def _revoke(home: Path, name: str) -> None:
        certificate = (home / "openpgp-revocs.d" / f"{read_fingerprint(home, name)}.rev").read_bytes()
        gpg(home, "--import", data=certificate.replace(b"\n:-----BEGIN", b"\n-----BEGIN"))

    def encrypt(self, *options: str, recipient: str = "own", text: bytes = TEXT) -> bytes:
        return gpg(self.sender, "--trust-model", "always", *options, "--recipient", recipient, "--encrypt", data=text)

    def private(self, name: str) -> SecretStr:
        return SecretStr(gpg(self.us, "--armor", "--export-secret-keys", name).decode())

    def public(self, name: str) -> str:
        return gpg(self.sender, "--armor", "--export", name).decode()

    def _declare_files(self) -> dict[str, Callable[[], bytes]]:
        armored = self.encrypt("--armor")
        inner = gpg(self.sender, "-z", "0", "-u", "signer", "--sign", data=TEXT)
        text, clear = literal(TEXT), ("--passphrase", "x")
        aead = build_aead_message(self.recipient, text)
        signed_aead = build_aead_message(self.recipient, inner)
        own = self.recipient
        return {
            "plain": lambda: self.plain,
            "armored": lambda: armored,
            "armored with CR": lambda: armored.replace(b"\n", b"\r\n"),
            "armored after text": lambda: b"to whom it may concern\n" + armored,
            "armored and blank lines": lambda: b"\n\n" + armored + b"\r\n \n",
            "signed": lambda: self.signed,
            "signed with an expired key": lambda: self.encrypt(*YEAR_2024, "-u", "late", "--sign"),
            "signed with a revoked key": lambda: self.signed_by_revoked,
            "signed with an expiring signature": lambda: self.encrypt(
                *YEAR_2024, "-u", "signer", "--default-sig-expire", "1d", "--sign"
            ),
            "for a key and a passphrase": lambda: self.encrypt("--symmetric", *clear),
            "hidden recipient": lambda: gpg(
                self.sender, "--trust-model", "always", "--hidden-recipient", "own", "--encrypt", data=TEXT
            ),
            "built": lambda: build_message(own, text),
            "built and signed": lambda: build_message(own, inner),
            "AEAD": lambda: aead,
            "for the expired key": lambda: self.encrypt(*YEAR_2024, recipient="expired"),
            "text A": lambda: b"A00000000001\n" + TEXT,
            "text E": lambda: b"E\n" + TEXT,
            "text in UTF-8": lambda: "Über die Straße\n".encode() * 100,
            "text in Latin-1": lambda: "Ärzte\n".encode("latin-1") * 100,
            "text after a byte order mark": lambda: b"\xef\xbb\xbf" + TEXT,
            "text like a session key": lambda: b"\xc1" + TEXT,
            "one byte": lambda: b"A",
            "line end": lambda: b"\n",
            "stored": lambda: gpg(self.sender, "-z", "0", "--store", data=TEXT),
            "compressed": lambda: gpg(self.sender, "-z", "6", "--store", data=TEXT),
            "signed only": lambda: inner,
            "signed only, compressed": lambda: gpg(self.sender, "-u", "signer", "--sign", data=TEXT),
            "detached signature": lambda: gpg(self.sender, "-u", "signer", "--detach-sign", data=TEXT),
            "signed only, armored": lambda: gpg(self.sender, "-z", "0", "-u", "signer", "--armor", "--sign", data=TEXT),
            "clear-signed": lambda: gpg(self.sender, "-u", "signer", "--clear-sign", data=TEXT),
            "public key": lambda: gpg(self.sender, "--export", "signer"),
            "armored public key": lambda: gpg(self.sender, "--armor", "--export", "signer"),
            "passphrase": lambda: gpg(self.sender, *clear, "--symmetric", data=TEXT),
            "passphrase, armored": lambda: gpg(self.sender, *clear, "--armor", "--symmetric", data=TEXT),
            "two messages": lambda: self.plain * 2,
            "two armored messages": lambda: armored * 2,
            "signed message after it": lambda: self.plain + inner,
            "two AEAD messages": lambda: aead * 2,
            "two texts in a message": lambda: build_message(own, text + text),
            "line end after it": lambda: self.plain + b"\n",
            "control-Z after it": lambda: self.plain + b"\x1a",
            "zeros after it": lambda: self.plain + bytes(1000),
            "text after it": lambda: self.plain + TEXT,
            "armored and text": lambda: armored + b"the end\n",
            "cut": lambda: self.plain[:4000],
            "cut in the first header": lambda: self.plain[:2],
            "cut in the armor": lambda: armored[:3000],
            "only the first line": lambda: b"-----BEGIN PGP MESSAGE-----\n",
            "cut AEAD": lambda: aead[:5000],
            "changed": lambda: change(self.plain, 5000),
            "changed in the armor": lambda: change_text(armored),
            "changed AEAD": lambda: change(aead, 5000),
            "changed AEAD, final check": lambda: change(aead, -1),
            "signed AEAD": lambda: signed_aead,
            "changed before encryption": lambda: build_message(own, change_text(inner)),
            "unknown cipher": lambda: build_message(own, text, cipher=250),
            "other size of key": lambda: build_message(own, text, cipher=5),
            "new version of data": lambda: build_message(own, text, version=2),
            "new version of session key": lambda: session_key_packet(own, bytes(32), version=6) + self.plain[-4000:],
            "unknown compression": lambda: build_message(own, packet(8, b"\x63" + TEXT)),
            "without MDC": lambda: build_unprotected_message(own, text),
        }


def change(message: bytes, place: int) -> bytes:
    changed = bytearray(message)
    changed[place] ^= 1
    return bytes(changed)


def change_text(message: bytes) -> bytes:
    """Change one letter in the middle without making it invalid in armor."""
    place = len(message) // 2
    while not message[place : place + 1].isalnum():
        place += 1
    return message[:place] + (b"x" if message[place : place + 1] != b"x" else b"y") + message[place + 1 :]


def read_fingerprint(home: Path, name: str) -> str:
    lines = gpg(home, "--with-colons", "--list-keys", name).decode().splitlines()
    return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))


@pytest.fixture(scope="module")
def made() -> Iterator[Maker]:
    with tempfile.TemporaryDirectory(prefix="keys-", dir="/tmp") as name:
        maker = Maker(Path(name))
        yield maker
        stop_agent(maker.us)
        stop_agent(maker.sender)


def decrypt(message: bytes, key: SecretStr, signer_keys: str = "") -> Cause | None:
    try:
        with encryption.decrypt(io.BytesIO(message), key, None, signer_keys) as plain:
            assert plain.read() == TEXT
    except DecryptionFailed as failure:
        return failure.cause
    return None


CAUSES = {
    "plain": None,
    "armored": None,
    "armored with CR": None,
    "armored after text": None,
    "armored and blank lines": None,
    "signed": None,
    "signed with an expired key": None,
    "signed with a revoked key": None,
    "signed with an expiring signature": None,
    "for a key and a passphrase": None,
    "hidden recipient": None,
    "built": None,
    "built and signed": None,
    "AEAD": None,
    "for the expired key": Cause.OTHER_KEY,
    "text A": Cause.NOT_ENCRYPTED,
    "text E": Cause.NOT_ENCRYPTED,
    "text in UTF-8": Cause.NOT_ENCRYPTED,
    "text in Latin-1": Cause.NOT_ENCRYPTED,
    "text after a byte order mark": Cause.NOT_ENCRYPTED,
    "text like a session key": Cause.NOT_ENCRYPTED,
    "one byte": Cause.NOT_ENCRYPTED,
    "line end": Cause.NOT_ENCRYPTED,
    "stored": Cause.NOT_ENCRYPTED,
    "compressed": Cause.NOT_ENCRYPTED,
    "signed only": Cause.SIGNED_ONLY,
    "signed only, compressed": Cause.SIGNED_ONLY,
    "detached signature": Cause.SIGNED_ONLY,
    "signed only, armored": Cause.SIGNED_ONLY,
    "clear-signed": Cause.CLEAR_SIGNED,
    "public key": Cause.KEY,
    "armored public key": Cause.KEY,
    "passphrase": Cause.PASSPHRASE_MESSAGE,
    "passphrase, armored": Cause.PASSPHRASE_MESSAGE,
    "two messages": Cause.SEVERAL_MESSAGES,
    "two armored messages": Cause.SEVERAL_MESSAGES,
    "signed message after it": Cause.SEVERAL_MESSAGES,
    "two AEAD messages": Cause.SEVERAL_MESSAGES,
    "two texts in a message": Cause.SEVERAL_MESSAGES,
    "line end after it": Cause.TRAILING_DATA,
    "control-Z after it": Cause.TRAILING_DATA,
    "zeros after it": Cause.TRAILING_DATA,
    "text after it": Cause.TRAILING_DATA,
    "armored and text": Cause.TRAILING_DATA,
    "cut": Cause.TRUNCATED,
    "cut in the first header": Cause.TRUNCATED,
    "cut in the armor": Cause.TRUNCATED,
    "only the first line": Cause.TRUNCATED,
    "cut AEAD": Cause.TRUNCATED,
    "changed": Cause.CORRUPTED,
    "changed in the armor": Cause.CORRUPTED,
    "changed AEAD": Cause.CORRUPTED,
    "changed AEAD, final check": Cause.CORRUPTED,
    "unknown cipher": Cause.UNSUPPORTED,
    "other size of key": Cause.UNSUPPORTED,
    "new version of data": Cause.UNSUPPORTED,
    "new version of session key": Cause.UNSUPPORTED,
    "unknown compression": Cause.UNSUPPORTED,
    "without MDC": Cause.NO_INTEGRITY,
}


SAMPLE = [
    *("signed", "for a key and a passphrase", "text A", "signed only, compressed", "clear-signed", "passphrase"),
    *("two messages", "text after it", "armored and text", "cut in the armor", "changed AEAD", "unknown cipher"),
]


def test_each_kind_of_file_has_its_cause(made: Maker) -> None:
    assert set(made.files) - set(CAUSES) == {"signed AEAD", "changed before encryption"}
    own = made.private("own")
    names = list(CAUSES) if LONG else SAMPLE
    assert {name: decrypt(made.files[name](), own) for name in names} == {name: CAUSES[name] for name in names}


def test_a_message_with_too_many_packets_stops_gpg(made: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decrypting, "_MAX_STATUS_BYTES", 2000)
    monkeypatch.setattr(decrypting, "_STATUS_CHECK_SECONDS", 0.05)
    texts = packet(8, b"\x03" + bz2.compress(literal(b"x") * 200_000))
    message = io.BytesIO(build_message(made.recipient, texts))
    assert len(message.getvalue()) < 1000
    with pytest.raises(DecryptionFailed) as failure, encryption.decrypt(message, made.private("own")) as plain:
        plain.read()
    assert failure.value.cause is Cause.SEVERAL_MESSAGES
    assert plain._process.returncode < 0  # otherwise gpg is busy for minutes


def test_an_unverified_signature_is_logged(made: Maker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert decrypt(made.plain, made.private("own")) is None
    assert "signed" not in caplog.text
    assert decrypt(made.signed, made.private("own")) is None
    assert "the file is signed, but its signature was not checked; set GPG_SIGNER_KEY" in caplog.text


def test_the_required_signature(made: Maker) -> None:
    own, signer, late = made.private("own"), made.public("signer"), made.public("late")
    changed = made.files["changed before encryption"]()
    with pytest.raises(AssertionError):  # imported as it was encrypted, because no key checks the signature
        decrypt(changed, own)
    causes = {
        "good": decrypt(made.signed, own, signer),
        "good, one of two keys": decrypt(made.signed, own, late + signer),
        "good, AEAD": decrypt(made.files["signed AEAD"](), own, signer),
        "changed": decrypt(changed, own, signer),
        "unsigned": decrypt(made.plain, own, signer),
        "other key": decrypt(made.signed, own, made.public("stranger")),
        "our key": decrypt(made.encrypt("-u", "stranger", "--sign"), own, signer),
        "expired key": decrypt(made.files["signed with an expired key"](), own, late),
        "revoked key": decrypt(made.signed_by_revoked, own, made.public("revoked")),
        "expired signature": decrypt(made.files["signed with an expiring signature"](), own, signer),
        "not a key": decrypt(made.signed, own, "DOR's key"),
        "not encrypted": decrypt(made.files["signed only"](), own, signer),
    }
    assert causes == {
        "good": None,
        "good, one of two keys": None,
        "good, AEAD": None,
        "changed": Cause.BAD_SIGNATURE,
        "unsigned": Cause.NOT_SIGNED,
        "other key": Cause.OTHER_SIGNER,
        "our key": Cause.OTHER_SIGNER,
        "expired key": Cause.SIGNER_KEY_EXPIRED,
        "revoked key": Cause.SIGNER_KEY_REVOKED,
        "expired signature": Cause.SIGNATURE_EXPIRED,
        "not a key": Cause.SIGNER_KEY_UNREADABLE,
        "not encrypted": Cause.SIGNED_ONLY,
    }


def test_an_expired_or_revoked_own_key_decrypts_and_encrypts(made: Maker, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    expired = made.private("expired")
    assert decrypt(made.files["for the expired key"](), expired) is None
    validity = encryption.read_validity(expired)
    assert validity == encryption.Validity(datetime(2025, 1, 1, tzinfo=UTC), is_revoked=False)
    assert validity.ends_within(timedelta(0), now)
    assert round_trip(expired)

    own = made.private("own")
    for keys in (expired, own), (own, expired):  # during a change of the key
        both = SecretStr("\n".join(key.get_secret_value() for key in keys))
        assert decrypt(made.files["for the expired key"](), both) is decrypt(made.plain, both) is None
        assert encryption.read_validity(both) == encryption.Validity(None, is_revoked=False)
        assert round_trip(both, own)
    assert encryption.read_validity(own) == encryption.Validity(None, is_revoked=False)
    with tempfile.TemporaryDirectory(prefix="keys-", dir="/tmp") as name:
        home = Path(name)
        gpg(home, "--import", data=gpg(made.us, "--export-secret-keys", "own"))
        certificate = made.us / "openpgp-revocs.d" / f"{read_fingerprint(made.us, 'own')}.rev"
        gpg(home, "--import", data=certificate.read_bytes().replace(b"\n:-----BEGIN", b"\n-----BEGIN"))
        revoked = SecretStr(gpg(home, "--armor", "--export-secret-keys").decode())
        stop_agent(home)
    assert encryption.read_validity(revoked).is_revoked
    assert decrypt(made.plain, revoked) is None
    assert round_trip(revoked)

    with tempfile.TemporaryDirectory(prefix="keys-", dir="/tmp") as name:
        home = Path(name)
        gpg(home, "--import", data=gpg(made.us, "--export-secret-keys", "own"))
        soon = f"{now + timedelta(days=30):%Y-%m-%d}"
        gpg(home, "--quick-set-expire", read_fingerprint(home, "own"), soon, "*")
        expiring = SecretStr(gpg(home, "--armor", "--export-secret-keys").decode())
        stop_agent(home)
    validity = encryption.read_validity(expiring)
    assert validity.ends_within(timedelta(days=60), now)
    assert not validity.ends_within(timedelta(days=20), now)


def round_trip(key: SecretStr, reader: SecretStr | None = None) -> bool:
    target = io.BytesIO()
    with encryption.encrypt_to_own_key(target, key) as stream:
        stream.write(TEXT)
    return decrypt(target.getvalue(), reader or key) is None


# The status lines of GnuPG 2.4.7, and of 2.2.40 where it differs.
GOOD = "BEGIN_DECRYPTION|DECRYPTION_INFO 2 9 0|PLAINTEXT 62 0|DECRYPTION_OKAY|GOODMDC|END_DECRYPTION"
UNKNOWN = GOOD.replace("|DECRYPTION_OKAY", "|NEWSIG|ERRSIG AB 1 10 00 0 9 CD|NO_PUBKEY AB|DECRYPTION_OKAY")
AEAD = (GOOD.replace("2 9 0", "0 9 2"), UNKNOWN.replace("2 9 0", "0 9 2"))
AEAD_2_2 = (GOOD.replace("2 9 0", "0 9 0"), UNKNOWN.replace("2 9 0", "0 9 0"))
EXIT = "|FAILURE gpg-exit 33554433"


@pytest.mark.parametrize(
    ("code", "lines", "tag", "cause"),
    [
        (0, GOOD, 18, None),
        (2, UNKNOWN + EXIT, 18, None),
        (2, f"NEED_PASSPHRASE_SYM 9 3 2|MISSING_PASSPHRASE|{GOOD}{EXIT}", 18, None),
        (2, f"ERROR pkdecrypt_failed 16777247|{GOOD}", 18, None),
        (2, AEAD[1] + EXIT, 20, None),
        (0, AEAD_2_2[0], 20, None),
        (2, AEAD_2_2[0], 20, Cause.CORRUPTED),
        (2, AEAD_2_2[1], 20, Cause.SIGNED_AEAD),
        (2, AEAD[0].replace("PLAINTEXT", "ERROR aead_checktag 16777226|PLAINTEXT") + EXIT, 20, Cause.CORRUPTED),
        (-9, GOOD, 18, Cause.INTERRUPTED),
        (2, f"{GOOD}|FAILURE decrypt 38", 18, Cause.CORRUPTED),
        (2, GOOD.replace("|END_DECRYPTION", ""), 18, Cause.CORRUPTED),
    ],
)
def test_status_lines_decide(code: int, lines: str, tag: int, cause: Cause | None) -> None:
    framing = Framing()
    framing.feed(packet(1, b"\3" + bytes(20)) + packet(tag, b"\1" + bytes(20)))
    assert framing.content is Content.ENCRYPTED
    assert find_cause(code, [line.split() for line in lines.split("|")], framing) is cause


@pytest.mark.parametrize(
    ("rest", "cause"),
    [
        (b"", Cause.SEVERAL_MESSAGES),  # both are in the encrypted data
        (b"a line of a file\n", Cause.TRAILING_DATA),
        (packet(1, b"\3" + bytes(20)) + packet(18, b"\1" + bytes(20)), Cause.SEVERAL_MESSAGES),
    ],
)
def test_what_follows_a_message_decides_if_gpg_reports_a_second_one(rest: bytes, cause: Cause) -> None:
    """gpg sometimes reports a second message for a text, depending on how much it reads at once."""
    framing = Framing()
    framing.feed(packet(1, b"\3" + bytes(20)) + packet(18, b"\1" + bytes(20)) + rest)
    lines = f"{GOOD}|ERROR proc_pkt.plaintext 89|UNEXPECTED 0|FAILURE decrypt 38"
    assert find_cause(2, [line.split() for line in lines.split("|")], framing) is cause


@pytest.mark.parametrize("first", [0, 1, 255])
def test_a_second_message_without_integrity_protection_may_begin_with_any_byte(first: int) -> None:
    """A packet of type 9 has no version (RFC 4880, section 5.7), so its first byte is encrypted data."""
    framing = Framing()
    framing.feed(packet(18, b"\1\0") + packet(9, bytes([first])))
    assert framing.has_second_message
    assert framing.has_trailing_data
