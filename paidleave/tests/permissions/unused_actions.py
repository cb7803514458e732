"""Actions of statements that no run of the day uses, with the reason for each."""

from __future__ import annotations

_FAILED_UPLOAD = "an upload that fails or is stopped"
_TAGGED_COPY = "a copy of an object with tags; a grant does not name the copies of the job"
_FAILED_FILE = "the removal of an incomplete file after a failure"

UNUSED_ACTIONS: dict[str, str] = {
    "PullImage ecr:BatchCheckLayerAvailability": "the agent of some platform versions",
    "WriteAgencyTransfer s3:AbortMultipartUpload": _FAILED_UPLOAD,
    "WriteBusinessIntelligence s3:AbortMultipartUpload": _FAILED_UPLOAD,
    "WriteReports s3:AbortMultipartUpload": _FAILED_UPLOAD,
    "WriteSqlExports s3:AbortMultipartUpload": _FAILED_UPLOAD,
    "ReadWriteDeleteAgencyTransfer s3:AbortMultipartUpload": _FAILED_UPLOAD,
    "ReadWriteDeleteBusinessIntelligence s3:AbortMultipartUpload": _FAILED_UPLOAD,
    "ReadWriteAgencyTransfer s3:AbortMultipartUpload": _FAILED_UPLOAD,
    "ReadWriteAgencyTransfer s3:GetObjectTagging": _TAGGED_COPY,
    "ReadWriteAgencyTransfer s3:PutObjectTagging": _TAGGED_COPY,
    "ReadWriteDeleteAgencyTransfer s3:DeleteObject": _FAILED_FILE,
    "ReadWriteDeleteAgencyTransfer s3:GetObjectTagging": _TAGGED_COPY,
    "ReadWriteDeleteAgencyTransfer s3:PutObjectTagging": _TAGGED_COPY,
    "ReadWriteDeleteBusinessIntelligence s3:GetObjectTagging": _TAGGED_COPY,
    "ReadWriteDeleteBusinessIntelligence s3:PutObjectTagging": _TAGGED_COPY,
    "ReadAgencyTransfer s3:GetObjectTagging": _TAGGED_COPY,
    "ReadSqlExports s3:GetObjectTagging": _TAGGED_COPY,
    "WriteAgencyTransfer s3:PutObjectTagging": _TAGGED_COPY,
    "WriteBusinessIntelligence s3:PutObjectTagging": _TAGGED_COPY,
    "WriteReports s3:PutObjectTagging": _TAGGED_COPY,
    "WriteSqlExports s3:PutObjectTagging": _TAGGED_COPY,
}
