"""Errors of calls to FINEOS.

::

    FineosError
    ├── FineosUnavailable            transient: timeout, lost connection, 429, 502, 503, 504
    ├── FineosAuthenticationFailed   no token: wrong client ID, secret, scope or OAuth2 URL
    ├── FineosRefused                any other HTTP status except 200
    │   ├── FineosForbidden          403
    │   ├── FineosNotFound           404
    │   └── FineosUnprocessable      422
    ├── FineosValidationFailed       HTTP 200, but the response contains a validation error
    └── FineosInvalidResponse        HTTP 200, but the body does not match the interface

Messages contain no name, FEIN, URL or unfiltered text of the vendor. :func:`redact_vendor_text` retains only words of
the vendor's text that cannot be personal data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


class FineosError(Exception):
    """A call to FINEOS failed. ``call`` is the service's name, ``status`` the HTTP status or None."""

    def __init__(self, call: str, message: str, *, status: int | None = None) -> None:
        super().__init__(f"{call}: {message}")
        self.call = call
        self.status = status

    @property
    def code(self) -> str:
        """The error without personal data, as stored in ``last_error`` of the queue."""
        status = f" {self.status}" if self.status is not None else ""
        return f"{type(self).__name__} {self.call}{status}"


class FineosUnavailable(FineosError):
    """FINEOS timed out or is temporarily unavailable. Retry later; no data is lost."""

    def __init__(self, call: str, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        """Create the error. ``retry_after`` is the wait in seconds that the vendor requested, or None."""
        super().__init__(call, message, status=status)
        self.retry_after = retry_after


class FineosAuthenticationFailed(FineosError):
    """FINEOS did not issue an access token or rejected a new one. Check the FINEOS_CLIENT_OAUTH2_* settings."""


class FineosRefused(FineosError):
    """FINEOS rejected the call with a permanent HTTP error status."""


class FineosForbidden(FineosRefused):
    """FINEOS denied access (403). Check the permissions of ``FINEOS_CLIENT_WSCOMPOSER_USER_ID``."""


class FineosNotFound(FineosRefused):
    """The address was not found (404). Check ``FINEOS_CLIENT_WSCOMPOSER_API_URL``."""


class FineosUnprocessable(FineosRefused):
    """FINEOS could not process the request because of the employer's data (422)."""


class FineosValidationFailed(FineosError):
    """FINEOS returned 200 with a validation error. Correct the employer's data; the next load sends them again."""


class FineosInvalidResponse(FineosError):
    """FINEOS returned 200 with a body that does not match the interface. Check with the vendor for changes."""


def redact_vendor_text(text: str, elements: Iterable[str] = ()) -> str:
    """Return the vendor's ``text`` without possible personal data.

    The result contains only common words of error messages and ``elements``. An ellipsis replaces everything else,
    because it can be a name or a number.
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
