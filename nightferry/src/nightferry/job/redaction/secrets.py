"""Mask secrets in text by their formats: keys, tokens, passwords in URLs, addresses of webhooks.

Most texts have none of them, so that each pattern is preceded by the search for a text that its matches contain.
"""

from __future__ import annotations

import re

from nightferry.job.redaction.pairs import MASK

_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]++-----.*?(?:-----END [A-Z0-9 ]++-----|\Z)", re.DOTALL)
_KEY_BLOCK_END = re.compile(r"\A.*-----END [A-Z0-9 ]+-----", re.DOTALL)  # a block whose beginning was cut off
_ENCODED_CHARACTERS = 40  # of an AWS secret access key; a line of a key block has 64
_ENCODED = re.compile(
    r"(?<![\w+/=-])(?=[\w+/-]*[a-z])(?=[\w+/-]*[A-Z])(?=[\w+/-]*[0-9])"
    r"(?:[A-Za-z0-9+/_-]{56,}+={0,2}|[A-Za-z0-9+/]{40}(?![\w+/=-]))"
)
_AUTHORIZATION = re.compile(
    r"\b(Bearer|Basic|Digest|AWS4-HMAC-SHA256)(\s{1,9})(?=[^\s,;\"']*[\d._~+/=-])[^\s,;\"']{6,}+", re.IGNORECASE
)
_SECURE_VALUE = re.compile(r"""(["']Value["']:\s?["'])[^"']++""")  # in a response of the Parameter Store
# A password with "/" follows a ":" that no port follows.
_USER_INFO = re.compile(
    r"(?<=://)(?!USER@HOST\b)(?:[^/\s?#@\"':]*+:(?![0-9]{0,5}(?:[/?#\s]|\Z))[^\s@\"']{0,200}+@(?:[^/\s?#@\"']*+@)*+"
    r"|[^/\s?#@\"']*+@(?:[^/\s?#@\"']*+@)*+)"
)
_WEBHOOK = re.compile(r"(?P<host>https?://(?P<name>[^\s/\"'<>?#]*+))(?P<path>/[^\s\"'<>]*+)", re.IGNORECASE)
_WEBHOOK_HOST = re.compile(r"(?:^|[.-])(?:web)?hooks?\b", re.IGNORECASE)
_WEBHOOK_PATH = re.compile(r"/(?:[\w-]*hook\w*/|integration/|bot[0-9]+:|workflows/)[^/]", re.IGNORECASE)

# Tokens with a fixed beginning, by a text that each match contains.
_TOKENS = {
    "eyJ": (re.compile(r"(?<![\w-])eyJ[\w-]{5,}+\.[\w-]++(?:\.[\w-]*+)?"), "[token]"),
    "A": (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b"), "[key]"),
    "AIza": (re.compile(r"\bAIza[\w-]{35}"), "[key]"),
    "gh": (re.compile(r"\b(?:gh[opsur]_[A-Za-z0-9]{30,}+|github_pat_\w{40,}+)"), "[token]"),
    "glpat-": (re.compile(r"\bglpat-[\w-]{18,}+"), "[token]"),
    "xox": (re.compile(r"\bxox[a-z]-[\w-]{10,}+"), "[token]"),
    "k_live_": (re.compile(r"\b[rsp]k_live_\w{16,}+"), "[key]"),
    "k_test_": (re.compile(r"\b[rs]k_test_\w{16,}+"), "[key]"),
    "SG.": (re.compile(r"\bSG\.[\w-]{16,}+\.[\w-]{16,}+"), "[key]"),
    "npm_": (re.compile(r"\bnpm_[A-Za-z0-9]{36}"), "[token]"),
    "pypi-": (re.compile(r"\bpypi-[\w-]{40,}+"), "[token]"),
    "NR": (re.compile(r"\bNR(?:AK|II|IQ|JS|RA|SP)-[\w-]{16,}+|\b[0-9a-f]{36}NRAL\b"), "[key]"),
    "AGE-SECRET-KEY-": (re.compile(r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,}+"), "[key]"),
}


def mask_key_blocks(text: str) -> str:
    """Return ``text`` without private keys and other blocks between lines such as ``-----BEGIN PRIVATE KEY-----``."""
    if "-----" in text:
        text = _KEY_BLOCK.sub("[key]", text)
        text = _KEY_BLOCK_END.sub("[key]", text)
    return text


def mask_addresses(text: str) -> str:
    """Return ``text`` without the users and passwords in URLs, and without the paths of webhooks."""
    if "://" in text:
        if "@" in text:
            text = _USER_INFO.sub(f"{MASK}@", text)
        text = _WEBHOOK.sub(_mask_webhook, text)
    return text


def mask_authorization(text: str) -> str:
    """Return ``text`` without what follows the scheme of an Authorization header.

    This precedes the masking of fields: the end of ``aHVudGVyMg==`` looks like the beginning of another field.
    """
    lower = text.lower()
    if "bearer" in lower or "basic" in lower or "digest" in lower or "aws4-" in lower:
        text = _AUTHORIZATION.sub(rf"\1\2{MASK}", text)
    return text


def mask_tokens(text: str) -> str:
    """Return ``text`` without tokens, keys, long encoded texts and values of the Parameter Store."""
    if "SecureString" in text:
        text = _SECURE_VALUE.sub(rf"\1{MASK}", text)
    for contained, (pattern, mask) in _TOKENS.items():
        if contained in text:
            text = pattern.sub(mask, text)
    return _ENCODED.sub(_mask_encoded, text) if len(text) >= _ENCODED_CHARACTERS else text


def _mask_webhook(match: re.Match[str]) -> str:
    path = match["path"]
    if path == "/" or not (_WEBHOOK_HOST.search(match["name"]) or _WEBHOOK_PATH.search(path)):
        return match[0]
    return f"{match['host']}/{MASK}"


def _mask_encoded(match: re.Match[str]) -> str:
    return match[0] if _is_made_of_words(match[0]) else "[key]"


def _is_made_of_words(text: str) -> bool:
    """Return True for a path or name such as ``s3/exports/2026-11-29/CustomerDataLoad_feed``, unlike encoded bytes."""
    for part in re.split(r"[/_+=-]+", text):
        if not re.fullmatch(r"[a-z\d]*|[A-Z\d]*", part):
            words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", part)
            if any(len(word) < 2 for word in words) or sum(map(len, words)) < 3.5 * len(words):
                return False
    return True
