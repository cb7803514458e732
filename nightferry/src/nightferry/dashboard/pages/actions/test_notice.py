"""The form that sends a test notice to the recipients of a topic."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from nightferry.dashboard.actions.perform import perform, show_form
from nightferry.dashboard.actions.proposal import Consent, Done, Proposal
from nightferry.dashboard.view import View
from nightferry.environments.recipients import describe_recipients
from nightferry.errors import NightferryError, UnknownName
from nightferry.notices import has_failed, send_test_notice

_TITLE = "Send a test notice"


class NotDelivered(NightferryError):
    """A recipient did not get the test notice. The message has the reason."""


def show(view: View) -> Response:
    """Show who would get the notice."""
    return show_form(view, _propose(view), title=_TITLE)


def send(view: View) -> Response:
    """Send the notice."""
    return perform(view, _propose(view), title=_TITLE)


def _propose(view: View) -> Proposal:
    topic = view.path["topic"]
    if topic not in view.catalog.topics:
        raise UnknownName("topic", topic, view.catalog.topics)

    def act(consent: Consent) -> Done:
        results = send_test_notice(
            view.site.project, view.environment, topic, f"It was sent from the dashboard by {consent.author}."
        )
        outcomes = "; ".join(f"{recipient}: {result}" for recipient, result in results.items())
        if any(map(has_failed, results.values())):
            raise NotDelivered(f"Test notice to {topic}: {outcomes}")
        return Done(f"Test notice to {topic}: {outcomes or 'the topic has no recipients'}.", view.link("/activity"))

    return Proposal("test-notice", topic, "Send the notice", lambda: _describe(view, topic), act)


def _describe(view: View, topic: str) -> Sequence[str]:
    recipients = describe_recipients(view.environment.notices.get(topic))
    if not recipients:
        return [f"Topic {topic} has no recipients. Add [notices.{topic}] to {view.environment.file}."]
    kept = " On this machine, it is stored, and sent only to chats." if view.environment.backend == "local" else ""
    return [
        f"A notice, with the text that nothing has failed, is sent to topic {topic}.{kept}",
        *(f"Recipient: {one}" for one in recipients),
    ]
