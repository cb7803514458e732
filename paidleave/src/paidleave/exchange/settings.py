"""Settings of the jobs that exchange files with FINEOS. Light: importing this module imports no job's code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from nightferry.job import JobSettings
from nightferry.storage import InvalidLocation, Location, parse
from paidleave.fineos.settings import VendorBucketSettings


def _location(text: str) -> str:
    try:
        parse(text)
    except InvalidLocation as error:
        raise ValueError(str(error).rstrip(".")) from None
    return text


def _locations(text: str) -> str:
    for location in text.split():
        _location(location)
    return text


Folder = Annotated[str, AfterValidator(_location)]


class VendorSettings(VendorBucketSettings):
    """Which locations are the vendor's, and the role that opens them."""

    fineos_locations: Annotated[str, AfterValidator(_locations)] = Field(
        default="",
        description="The vendor's buckets, separated by blanks; FINEOS_AWS_IAM_ROLE_ARN is assumed for them only",
    )

    @model_validator(mode="after")
    def _role_has_locations(self) -> Self:
        if self.fineos_aws_iam_role_arn and not self.fineos_locations.strip():
            raise ValueError("FINEOS_LOCATIONS must name the vendor's buckets when FINEOS_AWS_IAM_ROLE_ARN is set")
        return self


class BucketToolSettings(VendorSettings):
    """Copies, moves or lists objects between our buckets and those of FINEOS."""

    action: Literal["copy", "move", "list"] = Field(
        default="copy", description="What to do; a move deletes an object only after its copy was verified"
    )
    from_path: Folder | None = Field(
        default=None, description="Folder (s3:// or local), or one object; a folder may end with a slash. Required"
    )
    to_path: Folder | None = Field(
        default=None,
        description="Folder to copy to; for one object its new location, or with a slash at the end its folder",
    )
    archive_path: Folder | None = Field(
        default=None,
        description="Folder that copies are moved to when they have been dealt with: what is there is not copied again",
    )
    recursive: bool = Field(default=False, description="Take what is in subfolders too")
    dated_folders: bool = Field(
        default=False, description="Put each object below a folder YYYY-MM-DD: the date in its name, else of its change"
    )
    file_prefixes: str = Field(
        default="all",
        min_length=1,
        description="What names begin with, with or without a date before it; separated by commas, or 'all'",
    )
    expected_objects: int = Field(
        default=0, ge=0, description="Fail when fewer objects than this are found: then the path is wrong, or they late"
    )
    parallel: int = Field(default=16, ge=1, le=64, description="Objects copied at once")
    dry_run: bool = Field(default=False, description="Tell what would be done, and do nothing")

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes; none means all objects."""
        words = tuple(word.strip() for word in self.file_prefixes.split(","))
        return () if words == ("all",) else words

    @model_validator(mode="after")
    def _paths_fit(self) -> Self:
        if self.from_path is None:
            raise ValueError("FROM_PATH (or --from-path) is not set: the folder or object to work on")
        if "" in self.prefixes:
            raise ValueError("FILE_PREFIXES holds an empty prefix, which every name begins with; write 'all' for all")
        if self.action == "list":
            return self
        if self.to_path is None:
            raise ValueError(f"TO_PATH (or --to-path) is not set: {self.action} where to?")
        source, target = _resolved(self.from_path), _resolved(self.to_path)
        if source == target or (self.recursive and (is_below(source, target) or is_below(target, source))):
            raise ValueError(
                f"FROM_PATH '{self.from_path}' and TO_PATH '{self.to_path}' must not lie in each other: "
                "copies would be copied again, or an object moved onto itself"
            )
        return self


class WarehouseSettings(VendorSettings):
    """Settings of ``import-fineos-to-warehouse``."""

    extracts_path: Folder = Field(description="Folder (s3:// or local) with the vendor's extracts, in subfolders too")
    warehouse_path: Folder = Field(description="Folder (s3:// or local) that the warehouse's Parquet files go to")
    warehouse_rejected_share_limit: float = Field(
        default=0.05, ge=0, le=1, description="Share of rejected records above which a file is refused as a whole"
    )
    retry_refused: bool = Field(default=False, description="Try files again that were refused before")


class CpsErrorsSettings(JobSettings):
    """Settings of ``cps-errors-crawler``."""

    cps_error_files_received_path: Folder = Field(description="Folder (s3:// or local) where error files arrive")
    cps_error_files_processed_path: Folder = Field(description="Folder that a file is moved to when it was reported")

    @model_validator(mode="after")
    def _folders_differ(self) -> Self:
        received, processed = (
            _resolved(self.cps_error_files_received_path),
            _resolved(self.cps_error_files_processed_path),
        )
        if is_below(received, processed) or is_below(processed, received):
            raise ValueError(
                "CPS_ERROR_FILES_RECEIVED_PATH and CPS_ERROR_FILES_PROCESSED_PATH must not lie in each other"
            )
        return self


def is_below(location: Location, folder: Location) -> bool:
    """Whether ``location`` is ``folder`` or something in it."""
    if isinstance(location, Path) or isinstance(folder, Path):
        return isinstance(location, Path) and isinstance(folder, Path) and location.is_relative_to(folder)
    prefix = folder.key.strip("/")
    within = not prefix or location.key.strip("/") == prefix or location.key.startswith(f"{prefix}/")
    return location.bucket == folder.bucket and within


def _resolved(uri: str) -> Location:
    """The location without slashes at its end, and of a file its real path: two spellings are one place."""
    location = parse(uri)
    return location.resolve() if isinstance(location, Path) else replace(location, key=location.key.strip("/"))
