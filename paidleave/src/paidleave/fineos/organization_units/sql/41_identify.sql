-- Set the ID of units that matched by name.
UPDATE organization_unit AS unit
SET fineos_id = change.fineos_id, updated_at = now()
FROM unit_change AS change
WHERE change.kind = 'identified' AND unit.organization_unit_id = change.name_holder_id
