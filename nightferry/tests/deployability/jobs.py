"""A job that uses each kind of grant."""

from __future__ import annotations

from pydantic import Field, SecretStr

from nightferry import storage
from nightferry.credentials import aws_session
from nightferry.job import JobSettings, Run, background_task


class CountSettings(JobSettings):
    """The settings of a job that needs none."""


@background_task("count", CountSettings)
def count(settings: CountSettings, run: Run) -> dict[str, int]:
    """Return a result that the next step of its workflow reads."""
    del settings, run
    return {"objects": 2}


class WorkSettings(JobSettings):
    """The settings of the job."""

    folder: str = Field(description="Folder whose objects are moved")
    vendor_folder: str = Field(description="Folder of the vendor")
    vendor_role: str = Field(description="Role of the vendor")
    vendor_external_id: str = Field(description="External ID of the role")
    topic: str = Field(description="Topic of the message")
    note: SecretStr = Field(description="A secret that the job reads itself")
    token: SecretStr = Field(description="A secret that the platform supplies")


@background_task("work", WorkSettings)
def main(settings: WorkSettings, run: Run) -> None:
    """Read, write, list, move and delete objects, publish a message, read a parameter, and assume a role."""
    assert settings.token.get_secret_value() == "secret"
    assert settings.note.get_secret_value() == "note"
    for found in storage.list_objects(settings.folder):
        storage.move(found.uri, storage.join(settings.folder, "moved", found.name), version=found.version)
    with storage.open_write(storage.join(settings.folder, "new")) as file:
        file.write(b"content")
    storage.delete(storage.join(settings.folder, "new"))
    aws_session().client("sns").publish(TopicArn=settings.topic, Message="done")
    vendor = storage.session(role_arn=settings.vendor_role, external_id=settings.vendor_external_id)
    with vendor.open_write(storage.join(settings.vendor_folder, "report")) as file:
        file.write(b"report")
