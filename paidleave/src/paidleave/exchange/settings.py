"""Settings of the jobs that exchange files with FINEOS. This module imports no job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from nightferry.storage import InvalidLocation, Location, parse
from paidleave.fineos.settings import VendorBucketSettings
from paidleave.job_settings import FileLimitSettings, PlainFilesSettings


def _check_location(text: str) -> str:
    try:
        parse(text)
    except InvalidLocation as error:
        raise ValueError(str(error).rstrip(".")) from None
    return text


def _check_locations(text: str) -> str:
    for location in text.split():
        _check_location(location)
    return text


Folder = Annotated[str, AfterValidator(_check_location)]


class VendorSettings(VendorBucketSettings):
    """The vendor's locations and the role that gives access to them."""

    fineos_locations: Annotated[str, AfterValidator(_check_locations)] = Field(
        default="",
        description="The vendor's buckets, separated by spaces; FINEOS_AWS_IAM_ROLE_ARN is assumed only for these",
    )

    @model_validator(mode="after")
    def _check_role_has_locations(self) -> Self:
        if self.fineos_aws_iam_role_arn and not self.fineos_locations.strip():
            raise ValueError("FINEOS_LOCATIONS must name the vendor's buckets when FINEOS_AWS_IAM_ROLE_ARN is set")
        return self


class BucketToolSettings(VendorSettings):
    """Settings of ``fineos-bucket-tool``."""

    action: Literal["copy", "move", "list"] = Field(
        default="copy", description="Action; a move deletes an object only after its copy is verified"
    )
    from_path: Folder | None = Field(
        default=None, description="Source folder (s3:// or local) or single object; a folder may end in /. Required"
    )
    to_path: Folder | None = Field(
        default=None,
        description="Target folder; for a single object its new location, or its new folder if it ends in /",
    )
    archive_path: Folder | None = Field(
        default=None,
        description="Folder that processed copies are moved to; objects with a copy in it are not copied again",
    )
    recursive: bool = Field(default=False, description="Include subfolders")
    dated_folders: bool = Field(
        default=False,
        description="Put each object of FROM_PATH itself in a folder YYYY-MM-DD-HH-MM-SS: the time in its name, or of "
        "its last modification. Objects in subfolders keep their path",
    )
    file_prefixes: str = Field(
        default="all",
        min_length=1,
        description="Prefixes of the names to include, after an optional date, separated by commas; or 'all'",
    )
    expected_objects: int = Field(
        default=0, ge=0, description="Minimum number of objects; with fewer, the run fails (wrong path or late files)"
    )
    parallel: int = Field(default=16, ge=1, le=64, description="Number of objects copied at the same time")
    report_only: bool = Field(default=False, description="Log the objects to copy or move, and change nothing")

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The name prefixes; an empty tuple selects all objects."""
        words = tuple(word.strip() for word in self.file_prefixes.split(","))
        return () if words == ("all",) else words

    @model_validator(mode="after")
    def _check_paths(self) -> Self:
        if self.from_path is None:
            raise ValueError("FROM_PATH (or --from-path) is not set; set it to the folder or object to process")
        if "" in self.prefixes:
            raise ValueError("FILE_PREFIXES contains an empty prefix, which matches every name; use 'all' instead")
        if self.action == "list":
            return self
        if self.to_path is None:
            raise ValueError(f"TO_PATH (or --to-path) is not set; set it to the location to {self.action} to")
        source, target = _resolve(self.from_path), _resolve(self.to_path)
        if source == target or (self.recursive and (is_below(source, target) or is_below(target, source))):
            raise ValueError(
                f"FROM_PATH '{self.from_path}' and TO_PATH '{self.to_path}' must not contain each other: "
                "copies would be copied again, or an object moved onto itself"
            )
        return self


class WarehouseSettings(VendorSettings, PlainFilesSettings, FileLimitSettings):
    """Settings of ``import-fineos-to-warehouse``."""

    rejected_line_limit: int = Field(
        default=100_000, ge=0, description="Maximum number of rejected records; a file with more is refused"
    )

    extracts_path: Folder = Field(description="Folder (s3:// or local) with the vendor's extracts; includes subfolders")
    warehouse_path: Folder = Field(description="Folder (s3:// or local) for the warehouse's Parquet files")
    warehouse_rejected_share_limit: float = Field(
        default=0.05, ge=0, le=1, description="Share of rejected records above which a file is refused as a whole"
    )
    retry_refused: bool = Field(default=False, description="Retry files that were refused in an earlier run")


class CpsErrorsSettings(PlainFilesSettings, FileLimitSettings):
    """Settings of ``cps-errors-crawler``."""

    file_size_limit_mb: int = Field(
        default=1_024, ge=1, description="Maximum size of a file in MB of 1,048,576 bytes; a larger file fails"
    )
    rejected_line_limit: int = Field(
        default=100_000, ge=0, description="Maximum number of records that cannot be read; a file with more fails"
    )

    cps_error_files_received_path: Folder = Field(description="Folder (s3:// or local) where error files arrive")
    cps_error_files_processed_path: Folder = Field(description="Folder that error files are moved to after the report")

    @model_validator(mode="after")
    def _check_folders(self) -> Self:
        received, processed = (
            _resolve(self.cps_error_files_received_path),
            _resolve(self.cps_error_files_processed_path),
        )
        if is_below(received, processed) or is_below(processed, received):
            raise ValueError(
                "CPS_ERROR_FILES_RECEIVED_PATH and CPS_ERROR_FILES_PROCESSED_PATH must not contain each other"
            )
        return self


def is_below(location: Location, folder: Location) -> bool:
    """Return True if ``location`` is ``folder`` or lies in it."""
    if isinstance(location, Path) or isinstance(folder, Path):
        return isinstance(location, Path) and isinstance(folder, Path) and location.is_relative_to(folder)
    prefix = folder.key.strip("/")
    within = not prefix or location.key.strip("/") == prefix or location.key.startswith(f"{prefix}/")
    return location.bucket == folder.bucket and within


def _resolve(uri: str) -> Location:
    """Return the canonical location: a local path with symbolic links resolved, or a key without outer slashes."""
    location = parse(uri)
    return location.resolve() if isinstance(location, Path) else replace(location, key=location.key.strip("/"))
