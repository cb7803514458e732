-- Determine the change for each unit. Units match by the FINEOS ID. If no stored unit has the ID, the stored unit with
-- the same name gets it, unless that unit has the ID of another unit at FINEOS. This applies to units that the
-- employee updates created, which contain only names, and to names whose former unit no longer exists at FINEOS.
WITH previous_pass AS (DELETE FROM unit_change)
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
