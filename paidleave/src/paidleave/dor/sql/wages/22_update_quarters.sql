-- Update the changed quarters.
UPDATE employer_quarterly_contribution AS stored
SET employer_total_pfml_contribution = line.total_contribution,
    pfm_account_id = line.pfm_account_id,
    dor_received_date = line.received_date,
    dor_updated_date = line.updated_date,
    latest_import_log_id = %(import_log_id)s,
    updated_at = now()
FROM quarter_line AS line
WHERE line.outcome = 'update'
  AND stored.employer_id = line.employer_id
  AND stored.filing_period = line.filing_period
