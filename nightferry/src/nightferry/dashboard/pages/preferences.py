"""The reader's choice of a time zone for all times, kept in a cookie. It changes nothing in the environment."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.responses import Response

from nightferry.dashboard.view import BadRequest, View

ZONE_COOKIE = "nightferry-zone"
_YEAR_SECONDS = 365 * 24 * 3600


def find_zone(name: str) -> ZoneInfo | None:
    """Return the time zone of this name, which comes from a form or a cookie; None if it is not known."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def save(view: View) -> Response:
    """Store the zone, and return to the page that sent the form."""
    zone = find_zone(view.field("zone"))
    if zone is None:
        raise BadRequest("The time zone is not known. Use a name such as America/New_York.")
    back = view.field("back")
    response = view.redirect(back if view.site.owns_path(back) else view.link("/"))
    response.set_cookie(ZONE_COOKIE, zone.key, max_age=_YEAR_SECONDS, path="/", httponly=True, samesite="strict")
    return response
