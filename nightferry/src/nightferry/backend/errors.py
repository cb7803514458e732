"""The errors of the backends: what is unreachable, what refuses a request, and what cannot be redriven."""

from __future__ import annotations

from nightferry.contract import ExitCode
from nightferry.errors import NightferryError


class Unreachable(NightferryError):
    """The backend is unreachable. Its tasks continue to run; a retry may succeed."""

    exit_code = ExitCode.REFUSED


class CredentialsExpired(Unreachable):
    """The credentials have expired. Renew them; if ``renewable``, this process picks up the new ones.

    A process cannot pick up new values of credentials that are in its environment variables.
    """

    def __init__(self, message: str, *, renewable: bool) -> None:
        super().__init__(message)
        self.renewable = renewable


class Refused(NightferryError):
    """The backend refused the request. The message has the request, the response and the checks to make."""

    exit_code = ExitCode.REFUSED


class CannotRedrive(NightferryError):
    """The run or execution cannot be redriven. The message has the reason and the fix."""
