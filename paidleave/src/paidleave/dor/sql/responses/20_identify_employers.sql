-- Select one row per FEIN: the name in the last A line of its newest quarter, and the stored or new employer.
-- If two stored employers have the FEIN, the one that DOR changed last applies. A repeated import retains an employer
-- that the same file or a later one has written.
CREATE TEMPORARY TABLE named_employer ON COMMIT DROP AS
WITH named AS (
    SELECT DISTINCT ON (fein) fein, employer_name, line_number
    FROM staged_response_quarter
    ORDER BY fein, filing_period DESC, line_number DESC
), stored AS (
    SELECT DISTINCT ON (employer_fein) employer_fein, employer_id, latest_import_log_id
    FROM employer
    WHERE employer_fein IN (SELECT fein FROM named)
    ORDER BY employer_fein, dor_updated_date DESC NULLS LAST, fineos_employer_id, employer_id
), numbered AS (
    SELECT named.*, (%(uuid_prefix)s || to_hex(268435456 + row_number() OVER (ORDER BY line_number)))::uuid AS new_id
    FROM named
)
SELECT
    numbered.fein,
    numbered.employer_name,
    numbered.new_id,
    stored.employer_id IS NULL AS is_new,
    coalesce(stored.employer_id, numbered.new_id) AS employer_id,
    coalesce(stored.latest_import_log_id, 0) IN (SELECT import_log_id FROM later_import) AS is_retained
FROM numbered
LEFT JOIN stored ON stored.employer_fein = numbered.fein
