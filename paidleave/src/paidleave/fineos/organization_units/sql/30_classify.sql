-- What is to be done for each unit. FINEOS's id says which unit it is. A unit without that id is ours by its name when
-- no other unit of FINEOS's holds the name: then it gets the id. That happens to units that employee updates made,
-- which know names only, and to names whose former unit is gone at FINEOS.
WITH earlier_look AS (DELETE FROM unit_change)
INSERT INTO unit_change (kind, employer_id, fineos_id, name, unit_id, name_holder_id)
SELECT
    CASE
        WHEN unit.name = staged.name THEN 'unmodified'
        WHEN holder.organization_unit_id IS NOT NULL THEN 'identified'
        WHEN unit.organization_unit_id IS NOT NULL THEN 'renamed'
        ELSE 'created'
    END,
    staged.employer_id, staged.fineos_id, staged.name, unit.organization_unit_id, holder.organization_unit_id
FROM staged_unit AS staged
LEFT JOIN organization_unit AS unit USING (fineos_id, employer_id)
LEFT JOIN organization_unit AS holder
    ON holder.employer_id = staged.employer_id
    AND holder.name = staged.name
    AND NOT EXISTS (
        SELECT FROM staged_unit AS other
        WHERE other.employer_id = holder.employer_id AND other.fineos_id = holder.fineos_id
    )
