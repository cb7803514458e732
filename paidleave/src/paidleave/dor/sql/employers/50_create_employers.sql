-- Create the new employers.
INSERT INTO employer (
    employer_id, account_key, employer_fein, employer_name, employer_dba, family_exemption, medical_exemption,
    exemption_commence_date, exemption_cease_date, dor_updated_date, latest_import_log_id
)
SELECT
    new_id, account_key, fein, employer_name, employer_dba, family_exemption, medical_exemption,
    exemption_commence_date, exemption_cease_date, updated_date, %(import_log_id)s
FROM employer_line
WHERE outcome = 'create'
ORDER BY new_id
