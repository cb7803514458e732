"""The settings of a job: one class whose fields declare environment variables, options and their documentation."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from pydantic import SecretBytes, SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from nightferry.contract import PARAMETER_PATH, Privacy, is_secret


class JobSettings(BaseSettings):
    """The base class of a job's settings.

    The environment variable of a field is its name in capitals, and its option is the name in ``--kebab-case``. Every
    field requires a description. An empty value means that the setting is not set. A secret (``SecretStr``) has no
    option. Instead of ``<NAME>``, ``<NAME>_SSM_PATH`` may name the SSM parameter that holds the secret. The line ends
    around a secret are removed, because tools that write a secret to a file or a parameter add one.
    """

    shown_numbers: ClassVar[frozenset[str]] = frozenset()
    """Log fields whose long numbers are not masked, because they identify things and not people."""

    shown_names: ClassVar[str] = ""
    """Pattern of names whose long numbers are not masked, such as ``ORDERS_[0-9]{14}`` for files with a time."""

    privacy: ClassVar[Privacy] = Privacy.SECRETS_ONLY
    """The least strict policy of the job, which no variable can lower. Set it to STRICT for jobs that people also start
    by their commands, without the variables that the catalog supplies."""

    logged_packages: ClassVar[Collection[str]] = ()
    """Packages whose loggers have the level INFO, besides ``nightferry`` and the package of ``main``."""

    database_logins: ClassVar[Mapping[str, str]]
    """The setting of each database user as which the job logs in, with the setting of its password.

    A class with a method ``connect`` must declare it. Without the password, the job logs in with an IAM token (see
    :func:`nightferry.credentials.database_token`), which synthesis then allows for this user.
    """

    model_config = SettingsConfigDict(
        case_sensitive=False,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _strip_secrets(cls, values: Any) -> Any:
        """Remove the line ends around each secret. A secret of line ends only is not set."""
        if not isinstance(values, Mapping):
            return values
        result = dict(values)
        for name in [name for name in values if is_secret_field(cls, name)]:
            result[name] = _strip_line_ends(values[name])
            if isinstance(result[name], str) and not _is_text(result[name]):
                raise ValueError(f"{name.upper()} contains a NUL character, or bytes that are not UTF-8")
            if result[name] == "":
                del result[name]
        return result

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of precedence: arguments, environment, parameter store."""
        return init_settings, env_settings, _ParameterStore(settings_cls)


class _ParameterStore(PydanticBaseSettingsSource):
    """A source of secrets that are not set in the environment, but whose parameter names are."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = field_name.upper()
        path = os.environ.get(variable + PARAMETER_PATH)
        if not path or os.environ.get(variable) or field_name in self.current_state or not is_secret(field.annotation):
            return None, field_name, False
        from nightferry.credentials import parameter

        return parameter(path), field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


def is_secret_field(settings: type[JobSettings], name: str) -> bool:
    """Return True if ``name`` is a field of ``settings`` that holds a secret."""
    field = settings.model_fields.get(name)
    return field is not None and is_secret(field.annotation)


def _strip_line_ends(value: Any) -> Any:
    match value:
        case str():
            return value.strip("\r\n")
        case bytes():
            return value.strip(b"\r\n")
        case SecretStr() | SecretBytes():
            return type(value)(_strip_line_ends(value.get_secret_value()))
    return value


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def list_secret_values(settings: JobSettings) -> list[str]:
    """Return the values of all secrets in ``settings``."""
    found = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            found.append(value.get_secret_value())
        elif isinstance(value, SecretBytes):
            found.append(value.get_secret_value().decode("utf-8", "replace"))
    return found
