-- Update the employers with newer data. DOR's account key also replaces a generated one; a blank key replaces nothing.
UPDATE employer
SET account_key = coalesce(line.account_key, employer.account_key),
    employer_name = line.employer_name,
    employer_dba = line.employer_dba,
    family_exemption = CASE WHEN retains_exemption THEN employer.family_exemption ELSE line.family_exemption END,
    medical_exemption = CASE WHEN retains_exemption THEN employer.medical_exemption ELSE line.medical_exemption END,
    exemption_commence_date = CASE WHEN retains_exemption THEN employer.exemption_commence_date ELSE line.exemption_commence_date END,
    exemption_cease_date = CASE WHEN retains_exemption THEN employer.exemption_cease_date ELSE line.exemption_cease_date END,
    dor_updated_date = line.updated_date,
    latest_import_log_id = %(import_log_id)s,
    updated_at = now()
FROM employer_line AS line
WHERE line.outcome = 'update' AND employer.employer_id = line.stored_id
