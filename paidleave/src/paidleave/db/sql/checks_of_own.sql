-- Select what replica mode would disable or fire wrongly, besides the foreign keys that the jobs check in bulk.
-- These are user triggers (O: fires outside replica mode, R: only in it), rules, deferred unique constraints, and foreign
-- keys of other columns.
WITH written AS (
    SELECT oid, relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relname = ANY (%(tables)s)
)
SELECT 'trigger ' || tgname || ' on ' || relname
FROM pg_trigger
JOIN written ON written.oid = tgrelid
LEFT JOIN pg_constraint ON pg_constraint.oid = tgconstraint
WHERE tgenabled IN ('O', 'R') AND contype IS DISTINCT FROM 'f'
UNION ALL
SELECT 'rule ' || rulename || ' on ' || relname
FROM pg_rewrite
JOIN written ON written.oid = ev_class
WHERE ev_enabled IN ('O', 'R')
UNION ALL
SELECT 'foreign key ' || conname || ' of ' || written.relname
FROM pg_constraint
JOIN written ON written.oid = conrelid
JOIN pg_class AS referenced ON referenced.oid = confrelid
WHERE contype = 'f'
  AND NOT starts_with(referenced.relname, 'lk_')
  AND EXISTS (
      SELECT FROM pg_attribute
      WHERE attrelid = conrelid AND attnum = ANY (conkey) AND NOT attname = ANY (%(checked)s)
  )
ORDER BY 1
