"""The tables ``[notices.TOPIC]`` of ``environments/NAME.toml``: the people who receive the notices of a topic.

::

    [notices.task-failures]
    emails = ["on-call@example.gov"]
    slack = "notices/slack-webhook"      # the name of a secret, which holds the URL
    teams = "notices/teams-webhook"

A webhook's URL is a secret: anybody who has it can post to the channel. The file therefore has the secret's name, and
the URL is in the parameter store, or on this machine in the folder of the local secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from nightferry.catalog.declarations import Secret
from nightferry.catalog.secret_users import SecretUse

Email = Annotated[str, Field(pattern=r"^[^\s@\"<>,;]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$", max_length=254)]

_SECRET_NAME = re.compile(r"[\w./-]*")  # Parameter Store, "Creating parameters"
_HOST = re.compile(r"/*[\w-]+(\.[\w-]+)+/.")  # of a URL without its scheme

CHATS = ("slack", "teams")
"""The kinds of webhooks, which are keys of the table."""


class Recipients(BaseModel):
    """The recipients of one topic's notices."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    emails: tuple[Email, ...] = Field(
        default=(), description="E-mail addresses. Each person confirms the subscription once, by a link in an e-mail."
    )
    slack: str | None = Field(
        default=None, min_length=1, description="Secret with the URL of an incoming webhook of Slack."
    )
    teams: str | None = Field(
        default=None,
        min_length=1,
        description="Secret with the URL of a Teams workflow, 'Send webhook alerts to a channel'.",
    )

    @property
    def webhooks(self) -> Iterator[tuple[str, str]]:
        """The chats with the names of their secrets."""
        for chat in CHATS:
            if (secret := getattr(self, chat)) is not None:
                yield chat, secret

    @field_validator("emails")
    @classmethod
    def _check_emails(cls, emails: tuple[str, ...]) -> tuple[str, ...]:
        if repeated := sorted({email for email in emails if emails.count(email) > 1}):
            raise ValueError(f"{', '.join(repeated)} is listed twice; remove one of them")
        return emails

    @field_validator(*CHATS, mode="before")
    @classmethod
    def _check_secret_name(cls, name: Any) -> Any:
        """Refuse the URL itself, and anything else that is not a secret's name, without repeating it."""
        if isinstance(name, str) and (not _SECRET_NAME.fullmatch(name) or _HOST.match(name)):
            raise ValueError(
                "this is not the name of a secret. The URL of a webhook is a secret, so the file must not contain it. "
                "Store the URL as a secret, and write the secret's name here, such as notices/slack-webhook. If the "
                "URL was committed, create a new webhook"
            )
        return name


def find_webhooks(notices: Mapping[str, Recipients], *, optional: bool) -> dict[str, SecretUse]:
    """Return the secrets of all webhooks of an environment. They are optional where notices are only stored."""
    found: dict[str, tuple[str, ...]] = {}
    for topic, recipients in notices.items():
        for chat, secret in recipients.webhooks:
            found[secret] = (*found.get(secret, ()), f"notices of {topic} to {chat.capitalize()}")
    return {name: SecretUse(Secret(name), users, optional) for name, users in found.items()}


def describe_recipients(recipients: Recipients | None) -> list[str]:
    """Return the recipients for a message: the addresses, and the chats with the names of their secrets."""
    if recipients is None:
        return []
    return [*recipients.emails, *(f"{chat.capitalize()} ({secret})" for chat, secret in recipients.webhooks)]


def count_recipients(recipients: Recipients | None) -> str:
    """Return the recipients for a log, which contains no addresses of people: ``2 by e-mail, Slack``."""
    if recipients is None:
        return "no recipients"
    found = [f"{len(recipients.emails)} by e-mail"] if recipients.emails else []
    return ", ".join([*found, *(chat.capitalize() for chat, _ in recipients.webhooks)]) or "no recipients"
