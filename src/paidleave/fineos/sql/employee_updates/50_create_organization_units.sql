-- Create the organisation units that we don't know yet.
INSERT INTO organization_unit (organization_unit_id, name, employer_id)
SELECT gen_random_uuid(), said.name, said.employer_id
FROM (
    SELECT DISTINCT staged.organization_unit_name AS name, employer.employer_id
    FROM staged_update AS staged
    JOIN employer USING (fineos_employer_id)
    WHERE staged.organization_unit_name IS NOT NULL
) AS said
WHERE NOT EXISTS (
    SELECT FROM organization_unit AS stored WHERE stored.name = said.name AND stored.employer_id = said.employer_id
)
ON CONFLICT (name, employer_id) DO NOTHING
