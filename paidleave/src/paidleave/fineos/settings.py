"""Settings of the jobs that talk to FINEOS. Light: importing this module imports no job's code."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, model_validator

from nightferry.job import JobSettings
from paidleave.db.settings import DatabaseSettings

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address that begins with https://")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("must begin with https:// (plain http is allowed for this machine only): it carries FEINs")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or a password")
    return text


def _base_address(text: str) -> str:
    if not _address(text).endswith("/"):
        raise ValueError("must end with a slash")
    return text


Address = Annotated[str, AfterValidator(_address)]
BaseAddress = Annotated[str, AfterValidator(_base_address)]


class FineosClientSettings(JobSettings):
    """How to reach FINEOS. There is no mock client: a missing address is an error."""

    fineos_client_wscomposer_api_url: BaseAddress = Field(
        description="Address of the XML web services composer; ends with /integration-services/wscomposer/"
    )
    fineos_client_wscomposer_user_id: str = Field(
        default="CONTENT", min_length=1, description="Technical user that composer calls are made as"
    )
    fineos_client_oauth2_url: Address = Field(description="Address of the vendor's OAuth2 token endpoint")
    fineos_client_oauth2_client_id: str = Field(min_length=1, description="OAuth2 client id")
    fineos_client_oauth2_client_secret: SecretStr = Field(description="OAuth2 client secret")
    fineos_client_customer_api_url: BaseAddress | None = Field(
        default=None, description="Address of the claimant REST API, which the jobs here do not call"
    )
    fineos_client_integration_services_api_url: BaseAddress | None = Field(
        default=None, description="Address of the XML and multipart services, which the jobs here do not call"
    )
    fineos_client_group_client_api_url: BaseAddress | None = Field(
        default=None, description="Address of the employer-side REST API, which the jobs here do not call"
    )
    fineos_client_attempts: int = Field(
        default=5, ge=1, le=20, description="How often one call is made before a passing fault counts as a failure"
    )
    fineos_client_backoff: float = Field(
        default=0.5, ge=0, le=60, description="Seconds that the wait before the second attempt is at most; it doubles"
    )
    fineos_client_backoff_limit: float = Field(
        default=20, ge=0, le=300, description="Seconds that the wait before any attempt is at most"
    )
    fineos_client_connect_timeout: float = Field(default=6.1, gt=0, le=60, description="Seconds to connect")
    fineos_client_read_timeout: float = Field(
        default=29, gt=0, le=300, description="Seconds to wait for an answer; the vendor itself gives up after 29"
    )


class LoadEmployersSettings(DatabaseSettings, FineosClientSettings):
    """Settings of ``load-employers-to-fineos``."""

    employer_load_mode: Literal["only_new", "updates"] = Field(
        default="only_new",
        description="only_new: employers that FINEOS does not know yet; updates: employers in the queue",
    )
    employer_update_limit: int | None = Field(
        default=None, ge=1, description="In updates mode, the most employers that this process takes (default: all)"
    )
    process_id: int = Field(
        default=1, ge=1, le=2_147_483_647, description="Number of this process, written to the queue rows that it takes"
    )
    employer_load_concurrency: int = Field(default=16, ge=1, le=256, description="Calls to FINEOS in flight at once")
    employer_load_failed_share_limit: float = Field(
        default=0.05, ge=0, le=1, description="Share of failed employers above which the job ends with exit code 1"
    )
    employer_load_lease_seconds: float = Field(
        default=120, ge=1, le=3600, description="Seconds after which the employers of a loader that died are free again"
    )
    employer_load_attempt_limit: int = Field(
        default=3, ge=1, description="Failures after which an employer is parked: tried once a day only"
    )
    employer_load_parked_hours: float = Field(
        default=20, ge=0, description="Hours before a parked employer is tried again"
    )


class VendorBucketSettings(JobSettings):
    """The role that opens the vendor's buckets. Without one the task's own role is used, as for local folders."""

    fineos_aws_iam_role_arn: str | None = Field(
        default=None,
        description="Role in the vendor's account to assume for s3:// paths (default: the task's own role)",
    )
    fineos_aws_iam_role_external_id: str | None = Field(
        default=None, description="External id that goes with the vendor's role"
    )

    @model_validator(mode="after")
    def _role_with_external_id(self) -> Self:
        if self.fineos_aws_iam_role_arn and not self.fineos_aws_iam_role_external_id:
            raise ValueError("FINEOS_AWS_IAM_ROLE_EXTERNAL_ID must be set when FINEOS_AWS_IAM_ROLE_ARN is")
        return self


class EligibilityFeedSettings(DatabaseSettings, FineosClientSettings, VendorBucketSettings):
    """Settings of ``fineos-eligibility-feed-export``."""

    eligibility_feed_mode: Literal["full", "updates", "list"] = Field(
        default="full",
        description="full: all employers; updates: employees in the queue; list: all employees of the listed employers",
    )
    output_directory_path: str = Field(
        min_length=1, description="Folder (s3:// or local) below which absence-eligibility*/upload/ is written"
    )
    bundle_count: int = Field(default=1, ge=1, le=99, description="Bundles that full mode spreads the files over")
    eligibility_feed_export_employee_limit: int | None = Field(
        default=None, ge=1, description="In updates mode, the most employees taken from the queue (default: all)"
    )
    eligibility_feed_export_file_number_limit: int | None = Field(
        default=None, ge=1, description="In updates mode, the most files written (default: all)"
    )
    eligibility_feed_list_of_employer_ids: str | None = Field(
        default=None, description="In list mode, the employers' ids (UUIDs), separated by commas"
    )
    eligibility_feed_failed_share_limit: float = Field(
        default=0.05, ge=0, le=1, description="Share of failed employers above which the job ends with exit code 1"
    )
    eligibility_feed_lease_seconds: int = Field(
        default=1800, ge=1, description="Seconds after which queue rows of an export that hangs are free again"
    )

    @property
    def employer_ids(self) -> list[UUID]:
        """The ids of list mode, each once, in the order given (ValueError for anything that is no UUID)."""
        words = (word.strip() for word in (self.eligibility_feed_list_of_employer_ids or "").split(","))
        return list(dict.fromkeys(_employer_id(word) for word in words if word))

    @model_validator(mode="after")
    def _list_names_employers(self) -> Self:
        if self.eligibility_feed_mode == "list" and not self.employer_ids:
            raise ValueError("ELIGIBILITY_FEED_LIST_OF_EMPLOYER_IDS must name at least one employer in list mode")
        return self


def _employer_id(word: str) -> UUID:
    try:
        return UUID(word)
    except ValueError:
        raise ValueError(f"ELIGIBILITY_FEED_LIST_OF_EMPLOYER_IDS holds '{word}', which is not a UUID") from None


class EmployeeUpdatesSettings(DatabaseSettings, VendorBucketSettings):
    """Settings of ``fineos-import-employee-updates``."""

    fineos_folder_path: str = Field(
        min_length=1, description="Folder (s3:// or local) where FINEOS leaves its files …-EmployeeDataLoad_feed.csv"
    )
    employee_updates_errored_share_limit: float = Field(
        default=0.2, ge=0, le=1, description="Share of refused rows above which nothing of a file is imported"
    )


class LaUnitsSettings(DatabaseSettings, FineosClientSettings):
    """Settings of ``fineos-import-la-units``."""

    la_units_concurrency: int = Field(default=16, ge=1, le=256, description="Calls to FINEOS in flight at once")
    la_units_failed_share_limit: float = Field(
        default=0.05, ge=0, le=1, description="Share of failed employers above which the job ends with exit code 1"
    )
