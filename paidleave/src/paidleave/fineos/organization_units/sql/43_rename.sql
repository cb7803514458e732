-- Rename the units whose name changed at FINEOS.
UPDATE organization_unit AS unit
SET name = change.name, updated_at = now()
FROM unit_change AS change
WHERE change.kind = 'renamed' AND unit.organization_unit_id = change.unit_id
