-- Create the organization units that are not stored yet. EXCEPT hashes both sides regardless of the table's statistics.
-- An anti-join with a table that seems empty would be a nested loop over the rows that this statement inserts.
INSERT INTO organization_unit (organization_unit_id, name, employer_id)
SELECT gen_random_uuid(), new.name, new.employer_id
FROM (
    SELECT staged.organization_unit_name AS name, employer.employer_id
    FROM staged_update AS staged
    JOIN employer USING (fineos_employer_id)
    WHERE staged.organization_unit_name IS NOT NULL
    EXCEPT
    SELECT name, employer_id FROM organization_unit
) AS new
ON CONFLICT (name, employer_id) DO NOTHING
