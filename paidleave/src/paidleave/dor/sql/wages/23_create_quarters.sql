-- Create the new quarters.
INSERT INTO employer_quarterly_contribution (
    employer_id, filing_period, employer_total_pfml_contribution, pfm_account_id,
    dor_received_date, dor_updated_date, latest_import_log_id
)
SELECT employer_id, filing_period, total_contribution, pfm_account_id, received_date, updated_date, %(import_log_id)s
FROM quarter_line
WHERE outcome = 'create'
ORDER BY employer_id, filing_period
