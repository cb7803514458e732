-- Select one row per FEIN: its newest line (ties: the last one), the stored employer and the outcome.
-- A stored change time is older than any other if it is NULL or impossible because it is in the future. If two stored
-- employers have the FEIN, the one that DOR changed last applies. A repeated import retains an exemption that was set by
-- a later file of another kind, which has no change time.
CREATE TEMPORARY TABLE employer_line ON COMMIT DROP AS
WITH newest AS (
    SELECT DISTINCT ON (fein) *
    FROM staged_employer
    ORDER BY fein, updated_date DESC, line_number DESC
), stored AS (
    SELECT DISTINCT ON (employer_fein) employer_fein, employer_id, dor_updated_date, latest_import_log_id
    FROM employer
    WHERE employer_fein IN (SELECT fein FROM newest)
    ORDER BY employer_fein, dor_updated_date DESC NULLS LAST, fineos_employer_id, employer_id
)
SELECT
    newest.*,
    (%(uuid_prefix)s || to_hex(268435456 + row_number() OVER (ORDER BY newest.line_number)))::uuid AS new_id,
    stored.employer_id AS stored_id,
    coalesce(stored.latest_import_log_id, 0) IN (
        SELECT import_log_id FROM later_import WHERE NOT is_employer_file
    ) AS retains_exemption,
    CASE
        WHEN stored.employer_id IS NULL THEN 'create'
        WHEN stored.dor_updated_date IS NULL
            OR stored.dor_updated_date < newest.updated_date
            OR stored.dor_updated_date > now() + interval '1 day' THEN 'update'
        ELSE 'unmodified'
    END AS outcome
FROM newest
LEFT JOIN stored ON stored.employer_fein = newest.fein
ORDER BY newest.line_number
