-- Create the missing quarters with a total of 0 and without dates, so that all later data from DOR is newer.
INSERT INTO employer_quarterly_contribution (
    employer_id, filing_period, employer_total_pfml_contribution, pfm_account_id, latest_import_log_id
)
SELECT DISTINCT employer_id, filing_period, 0, fein, %(import_log_id)s
FROM staged_response_quarter
JOIN named_employer USING (fein)
ORDER BY employer_id, filing_period
ON CONFLICT (employer_id, filing_period) DO NOTHING
