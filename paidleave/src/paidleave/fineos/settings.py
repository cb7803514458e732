"""Settings of the jobs that call FINEOS. Importing this module does not import the code of any job."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, model_validator

from paidleave.db.settings import DatabaseSettings
from paidleave.job_settings import FileLimitSettings, PaidLeaveSettings, PlainFilesSettings

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _check_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must start with https://")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("must start with https:// because requests contain FEINs (http:// is for localhost only)")
    if parts.username or parts.password:
        raise ValueError("must not contain a user name or password")
    return text


def _check_base_address(text: str) -> str:
    if not _check_address(text).endswith("/"):
        raise ValueError("must end with a slash")
    return text


Address = Annotated[str, AfterValidator(_check_address)]
BaseAddress = Annotated[str, AfterValidator(_check_base_address)]


class FineosClientSettings(PaidLeaveSettings):
    """Connection to FINEOS. A missing address is an error because no mock client exists."""

    fineos_client_wscomposer_api_url: BaseAddress = Field(
        description="Address of the XML web services composer. Ends with /integration-services/wscomposer/"
    )
    fineos_client_wscomposer_user_id: str = Field(
        default="CONTENT", min_length=1, description="Technical user of the composer calls"
    )
    fineos_client_oauth2_url: Address = Field(description="Address of the vendor's OAuth2 token endpoint")
    fineos_client_oauth2_client_id: str = Field(min_length=1, description="OAuth2 client id")
    fineos_client_oauth2_client_secret: SecretStr = Field(description="OAuth2 client secret")
    fineos_client_customer_api_url: BaseAddress | None = Field(
        default=None, description="Address of the claimant REST API. No job of this package calls it"
    )
    fineos_client_integration_services_api_url: BaseAddress | None = Field(
        default=None, description="Address of the XML and multipart services. No job of this package calls them"
    )
    fineos_client_group_client_api_url: BaseAddress | None = Field(
        default=None, description="Address of the employer-side REST API. No job of this package calls it"
    )
    fineos_client_attempts: int = Field(
        default=5, ge=1, le=20, description="Attempts of one call before a transient error counts as a failure"
    )
    fineos_client_backoff: float = Field(
        default=0.5, ge=0, le=60, description="Maximum wait before the second attempt, in seconds. Doubles per attempt"
    )
    fineos_client_backoff_limit: float = Field(
        default=20, ge=0, le=300, description="Maximum wait before any attempt, in seconds"
    )
    fineos_client_connect_timeout: float = Field(
        default=6.1, gt=0, le=60, description="Timeout of connecting, in seconds"
    )
    fineos_client_read_timeout: float = Field(
        default=29, gt=0, le=300, description="Timeout of a response, in seconds. The vendor's own timeout is 29"
    )


class LoadEmployersSettings(DatabaseSettings, FineosClientSettings):
    """Settings of ``load-employers-to-fineos``."""

    employer_load_mode: Literal["only_new", "updates"] = Field(
        default="only_new",
        description="only_new: employers that are not at FINEOS yet; updates: employers in the queue",
    )
    employer_update_limit: int | None = Field(
        default=None, ge=1, description="Maximum employers that this process loads in updates mode (default: all)"
    )
    process_id: int = Field(
        default=1,
        ge=1,
        le=2_147_483_647,
        description="Number of this process. Written to the queue rows that it claims",
    )
    employer_load_concurrency: int = Field(default=16, ge=1, le=256, description="Maximum concurrent calls to FINEOS")
    employer_load_failed_share_limit: float = Field(
        default=0.05, ge=0, le=1, description="Share of failed employers above which the job exits with code 1"
    )
    employer_load_lease_seconds: float = Field(
        default=120, ge=1, le=3600, description="Seconds after which the claims of a loader that hangs expire"
    )
    employer_load_attempt_limit: int = Field(
        default=3, ge=1, description="Failures after which an employer is parked: retried once a day only"
    )
    employer_load_parked_hours: float = Field(default=20, ge=0, description="Hours before a parked employer is retried")


class VendorBucketSettings(PaidLeaveSettings):
    """Role for access to the vendor's buckets. Without it, the job uses its task role."""

    fineos_aws_iam_role_arn: str | None = Field(
        default=None,
        description="Role in the vendor's account to assume for s3:// paths (default: the task's own role)",
    )
    fineos_aws_iam_role_external_id: str | None = Field(
        default=None, description="External ID that the vendor's role requires"
    )

    @model_validator(mode="after")
    def _require_external_id(self) -> Self:
        if self.fineos_aws_iam_role_arn and not self.fineos_aws_iam_role_external_id:
            raise ValueError("FINEOS_AWS_IAM_ROLE_EXTERNAL_ID must be set if FINEOS_AWS_IAM_ROLE_ARN is set")
        return self


class EligibilityFeedSettings(DatabaseSettings, FineosClientSettings, VendorBucketSettings):
    """Settings of ``fineos-eligibility-feed-export``."""

    eligibility_feed_mode: Literal["full", "updates", "list"] = Field(
        default="full",
        description="full: all employers; updates: employees in the queue; list: all employees of the listed employers",
    )
    output_directory_path: str = Field(
        min_length=1, description="Folder (s3:// or local) that gets the folders absence-eligibility*/upload/"
    )
    bundle_count: int = Field(
        default=1, ge=1, le=99, description="Number of bundles that full mode distributes the files to"
    )
    eligibility_feed_export_employee_limit: int | None = Field(
        default=None, ge=1, description="Maximum employees to claim from the queue in updates mode (default: all)"
    )
    eligibility_feed_export_file_number_limit: int | None = Field(
        default=None, ge=1, description="Maximum files to write in updates mode (default: all)"
    )
    eligibility_feed_list_of_employer_ids: str | None = Field(
        default=None, description="Employer IDs (UUIDs) of list mode, separated by commas"
    )
    eligibility_feed_failed_share_limit: float = Field(
        default=0.05, ge=0, le=1, description="Share of failed employers above which the job exits with code 1"
    )
    eligibility_feed_lease_seconds: int = Field(
        default=1800, ge=1, description="Seconds after which the claims of an export that hangs expire"
    )

    @property
    def employer_ids(self) -> list[UUID]:
        """The distinct employer IDs of list mode in the given order.

        Raises:
            ValueError: An entry is not a UUID.
        """
        words = (word.strip() for word in (self.eligibility_feed_list_of_employer_ids or "").split(","))
        return list(dict.fromkeys(_parse_employer_id(word) for word in words if word))

    @model_validator(mode="after")
    def _require_employer_ids(self) -> Self:
        if self.eligibility_feed_mode == "list" and not self.employer_ids:
            raise ValueError("ELIGIBILITY_FEED_LIST_OF_EMPLOYER_IDS must contain at least one employer ID in list mode")
        return self


def _parse_employer_id(word: str) -> UUID:
    try:
        return UUID(word)
    except ValueError:
        raise ValueError(f"ELIGIBILITY_FEED_LIST_OF_EMPLOYER_IDS contains '{word}', which is not a UUID") from None


class EmployeeUpdatesSettings(DatabaseSettings, VendorBucketSettings, FileLimitSettings, PlainFilesSettings):
    """Settings of ``fineos-import-employee-updates``."""

    file_size_limit_mb: int = Field(
        default=4_096, ge=1, description="Maximum size of a file in MB of 1,048,576 bytes; a larger file fails"
    )

    fineos_folder_path: str = Field(
        min_length=1, description="Folder (s3:// or local) of the FINEOS files …-EmployeeDataLoad_feed.csv"
    )
    employee_updates_errored_share_limit: float = Field(
        default=0.2, ge=0, le=1, description="Share of rejected rows above which a file is not imported"
    )


class LaUnitsSettings(DatabaseSettings, FineosClientSettings, VendorBucketSettings, PlainFilesSettings):
    """Settings of ``fineos-import-la-units``."""

    file_size_limit_mb: int = Field(
        default=512, ge=1, description="Maximum size of the file in MB of 1,048,576 bytes; a larger file fails"
    )
    blank_line_limit: int = Field(
        default=10_000, ge=0, description="Maximum number of blank lines; a file with more fails"
    )

    fineos_folder_path: str = Field(
        min_length=1, description="Folder (s3:// or local) of the FINEOS files …-VBI_ORGUNIT_DETAILS_SOM.csv"
    )
    la_units_concurrency: int = Field(default=16, ge=1, le=256, description="Maximum concurrent calls to FINEOS")
    la_units_failed_share_limit: float = Field(
        default=0.05, ge=0, le=1, description="Share of failed employers above which the job exits with code 1"
    )
