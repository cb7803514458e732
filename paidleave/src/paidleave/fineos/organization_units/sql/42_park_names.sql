-- Names may have changed places, and are unique at every moment: each changed one first gives way.
UPDATE organization_unit AS unit
SET name = 'renamed ' || unit.organization_unit_id
FROM unit_change AS change
WHERE change.kind = 'renamed' AND unit.organization_unit_id = change.unit_id
