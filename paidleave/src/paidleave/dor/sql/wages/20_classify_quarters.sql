-- Select one row per employer and quarter: its newest A line (ties: the last one) and the outcome.
-- A line that is older than the stored row changes nothing. A stored change time is older than any other if it is NULL
-- or impossible because it is in the future. A repeated import retains the values of later files with the same change
-- time.
CREATE TEMPORARY TABLE quarter_line ON COMMIT DROP AS
WITH newest AS (
    SELECT DISTINCT ON (employer_id, filing_period) *
    FROM staged_quarter
    ORDER BY employer_id, filing_period, updated_date DESC, line_number DESC
)
SELECT
    newest.*,
    CASE
        WHEN stored.employer_id IS NULL THEN 'create'
        WHEN stored.dor_updated_date > newest.updated_date AND stored.dor_updated_date <= now() + interval '1 day'
            THEN 'unmodified'
        WHEN stored.dor_updated_date = newest.updated_date AND stored.latest_import_log_id IN (
            SELECT import_log_id FROM later_import WHERE NOT is_own OR %(is_replay)s
        ) THEN 'unmodified'
        WHEN (stored.employer_total_pfml_contribution, stored.pfm_account_id,
              stored.dor_received_date, stored.dor_updated_date)
             IS DISTINCT FROM
             (newest.total_contribution, newest.pfm_account_id, newest.received_date, newest.updated_date)
            THEN 'update'
        ELSE 'unmodified'
    END AS outcome
FROM newest
LEFT JOIN employer_quarterly_contribution AS stored USING (employer_id, filing_period)
