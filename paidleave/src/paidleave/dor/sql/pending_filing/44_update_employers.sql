-- Update the exemption of the known employers.
UPDATE employer
SET family_exemption = line.family_exemption,
    medical_exemption = line.medical_exemption,
    exemption_commence_date = '9999-12-31',
    exemption_cease_date = '9999-12-31',
    latest_import_log_id = %(import_log_id)s,
    updated_at = now()
FROM (SELECT * FROM named_employer JOIN employer_exemption USING (fein) WHERE NOT is_new AND NOT is_retained) AS line
WHERE employer.employer_id = line.employer_id
