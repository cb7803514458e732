"""What can go wrong between us and FINEOS.

::

    FineosError
    ├── FineosUnavailable            worth trying again: timeout, connection lost, 429, 502, 503, 504
    ├── FineosAuthenticationFailed   no token: client id, secret, scope or OAuth2 URL are wrong
    ├── FineosRefused                any other HTTP status than 200
    │   ├── FineosForbidden          403
    │   ├── FineosNotFound           404
    │   └── FineosUnprocessable      422
    ├── FineosValidationFailed       HTTP 200, but the answer says that the request was not carried out
    └── FineosInvalidAnswer          HTTP 200, but the body is not the XML that was agreed on

No message holds a name, a FEIN, a URL or the vendor's own text: :func:`known_words` keeps of that text only
words that cannot be anybody's data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


class FineosError(Exception):
    """A call to FINEOS failed; ``call`` names the service, ``status`` is the HTTP status where there was one."""

    def __init__(self, call: str, message: str, *, status: int | None = None) -> None:
        super().__init__(f"{call}: {message}")
        self.call = call
        self.status = status

    @property
    def code(self) -> str:
        """The kind of error in a few words without personal data, as the queue's ``last_error`` keeps it."""
        status = f" {self.status}" if self.status is not None else ""
        return f"{type(self).__name__} {self.call}{status}"


class FineosUnavailable(FineosError):
    """FINEOS did not answer in time, or said that it cannot work now. Try again later; nothing is lost."""

    def __init__(self, call: str, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        """``retry_after``: how many seconds the vendor asked to wait, where it did."""
        super().__init__(call, message, status=status)
        self.retry_after = retry_after


class FineosAuthenticationFailed(FineosError):
    """FINEOS gave no access token, or refused a fresh one. Check the ``FINEOS_CLIENT_OAUTH2_*`` settings."""


class FineosRefused(FineosError):
    """FINEOS answered with a status other than 200 that a second try would not change."""


class FineosForbidden(FineosRefused):
    """FINEOS refused the call (403). Check that ``FINEOS_CLIENT_WSCOMPOSER_USER_ID`` may make it."""


class FineosNotFound(FineosRefused):
    """There is nothing at that address (404). Check ``FINEOS_CLIENT_WSCOMPOSER_API_URL``."""


class FineosUnprocessable(FineosRefused):
    """FINEOS understood the request but will not carry it out (422): the employer's data are at fault."""


class FineosValidationFailed(FineosError):
    """FINEOS answered 200 but did not carry the request out; correct the employer's data, then it is sent again."""


class FineosInvalidAnswer(FineosError):
    """FINEOS answered 200 with a body that is not what the interface promises. Ask the vendor what changed."""


def known_words(text: str, elements: Iterable[str] = ()) -> str:
    """Of the vendor's ``text``, only what cannot be personal data: common words of error messages, and ``elements``.

    Everything else, which may quote a name or a number, becomes an ellipsis.
    """
    allowed = _COMMON | {element.casefold() for element in elements}
    words = [word if word.casefold() in allowed else "…" for word in re.findall(r"\w+", text[:2000])]
    kept: list[str] = []
    for word in words:
        if word != "…" or kept[-1:] != ["…"]:
            kept.append(word)
    return " ".join(kept[:60])


_COMMON_WORDS = """
a absence agreement already an and are be business cannot character characters code customer data database date dates
does duplicate element employer empty end error exceeds exist exists failed field fields for format found greater has
identification in integrity invalid is it leave legal length less long longer maximum management message minimum
missing more must name not null number of only or organisation party plan plans processing required service short
start system tax than that the this timeout to too type unexpected unique unknown update validation value violation
with xml
"""
_COMMON = frozenset(_COMMON_WORDS.split())
