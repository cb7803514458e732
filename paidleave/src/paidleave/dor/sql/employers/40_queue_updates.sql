-- Queue the updated employers for FINEOS with their current exemption, before it is overwritten.
INSERT INTO employer_push_to_fineos_queue (
    employer_push_to_fineos_queue_id, employer_id, action, modified_at,
    family_exemption, medical_exemption, exemption_commence_date, exemption_cease_date
)
SELECT
    line.new_id, employer.employer_id, 'UPDATE', now(),
    employer.family_exemption, employer.medical_exemption,
    employer.exemption_commence_date, employer.exemption_cease_date
FROM employer_line AS line
JOIN employer ON employer.employer_id = line.stored_id
WHERE line.outcome = 'update'
ORDER BY line.new_id
