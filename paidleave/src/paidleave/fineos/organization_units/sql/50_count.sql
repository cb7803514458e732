-- How many units were created, renamed, identified and left alone; and how many of ours FINEOS does not have any more.
SELECT kind, count(*) FROM unit_change GROUP BY kind
UNION ALL
SELECT 'vanished', count(*)
FROM organization_unit AS unit
JOIN answered_employer USING (employer_id)
WHERE unit.fineos_id IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM staged_unit AS staged
      WHERE staged.employer_id = unit.employer_id AND staged.fineos_id = unit.fineos_id
  )
