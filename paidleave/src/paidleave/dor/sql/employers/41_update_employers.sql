-- Update the employers with newer data. DOR's account key also replaces a generated one; a blank key replaces nothing.
UPDATE employer
SET account_key = coalesce(line.account_key, employer.account_key),
    employer_name = line.employer_name,
    employer_dba = line.employer_dba,
    family_exemption = line.family_exemption,
    medical_exemption = line.medical_exemption,
    exemption_commence_date = line.exemption_commence_date,
    exemption_cease_date = line.exemption_cease_date,
    dor_updated_date = line.updated_date,
    latest_import_log_id = %(import_log_id)s,
    updated_at = now()
FROM employer_line AS line
WHERE line.outcome = 'update' AND employer.employer_id = line.stored_id
