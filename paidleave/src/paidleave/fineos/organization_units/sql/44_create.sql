-- Create the units that are not in the database yet.
INSERT INTO organization_unit (organization_unit_id, fineos_id, name, employer_id)
SELECT gen_random_uuid(), fineos_id, name, employer_id
FROM unit_change
WHERE kind = 'created'
