-- A unit whose id goes to the unit that has its new name keeps its own name, without an id.
UPDATE organization_unit AS unit
SET fineos_id = NULL, updated_at = now()
FROM unit_change AS change
WHERE change.kind = 'identified' AND unit.organization_unit_id = change.unit_id
