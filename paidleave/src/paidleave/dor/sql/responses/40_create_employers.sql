-- Create the new employers with a generated account key, which the next employer file replaces with DOR's own.
INSERT INTO employer (
    employer_id, account_key, employer_fein, employer_name, employer_dba, family_exemption, medical_exemption,
    exemption_commence_date, exemption_cease_date, latest_import_log_id
)
SELECT
    employer_id, %(key_prefix)s || employer_id, fein, employer_name, employer_name, family_exemption,
    medical_exemption, '9999-12-31', '9999-12-31', %(import_log_id)s
FROM named_employer
JOIN employer_exemption USING (fein)
WHERE is_new
ORDER BY employer_id
