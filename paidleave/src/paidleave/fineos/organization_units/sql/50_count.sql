-- Count the units by change, and the stored units that FINEOS no longer has.
SELECT kind, count(*) FROM unit_change GROUP BY kind
UNION ALL
SELECT 'vanished', count(*)
FROM organization_unit AS unit
JOIN staged_employer USING (employer_id)
WHERE unit.fineos_id IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM staged_unit AS staged
      WHERE staged.employer_id = unit.employer_id AND staged.fineos_id = unit.fineos_id
  )
