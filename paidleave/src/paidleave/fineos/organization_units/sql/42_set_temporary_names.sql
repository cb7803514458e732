-- Give units to rename a temporary name first, because names are unique and units can have exchanged their names.
UPDATE organization_unit AS unit
SET name = 'renamed ' || unit.organization_unit_id, updated_at = now()
FROM unit_change AS change
WHERE change.kind = 'renamed' AND unit.organization_unit_id = change.unit_id
