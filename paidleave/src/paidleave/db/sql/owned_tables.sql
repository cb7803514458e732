-- Select the tables of the schema that the current user owns, with their columns and sequences.
-- Tables of extensions are excluded.
SELECT relation.relname AS table,
       array_agg(attribute.attname::text ORDER BY attribute.attnum) AS columns,
       (SELECT array_agg(sequence.relname::text)
        FROM pg_depend AS dependency JOIN pg_class AS sequence ON sequence.oid = dependency.objid
        WHERE dependency.refclassid = 'pg_class'::regclass AND dependency.refobjid = relation.oid
          AND dependency.classid = 'pg_class'::regclass AND dependency.deptype = 'a' AND sequence.relkind = 'S'
       ) AS sequences
FROM pg_class AS relation
JOIN pg_attribute AS attribute ON attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attisdropped
WHERE relation.relnamespace = current_schema()::regnamespace
  AND relation.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND pg_has_role(relation.relowner, 'USAGE')
  AND NOT EXISTS (
      SELECT FROM pg_depend AS member
      WHERE member.classid = 'pg_class'::regclass AND member.objid = relation.oid AND member.deptype = 'e'
  )
GROUP BY relation.oid, relation.relname
ORDER BY relation.relname
