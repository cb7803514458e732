-- Remove the ID from units whose ID moves to the unit that already has the new name. They retain their own name.
UPDATE organization_unit AS unit
SET fineos_id = NULL, updated_at = now()
FROM unit_change AS change
WHERE change.kind = 'identified' AND unit.organization_unit_id = change.unit_id
