-- The current user's privileges beyond reading the given columns, with which execute-sql must not run.
SELECT current_setting('is_superuser')::boolean
       OR EXISTS (
           SELECT FROM pg_class
           WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
             AND (pg_has_role(relowner, 'USAGE') OR has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
       ) AS can_write,
       EXISTS (
           SELECT FROM pg_attribute AS attribute JOIN pg_class AS relation ON relation.oid = attribute.attrelid
           WHERE relation.relnamespace = current_schema()::regnamespace AND relation.relkind IN ('r', 'p', 'v', 'm', 'f')
             AND attribute.attnum > 0 AND NOT attribute.attisdropped
             AND has_column_privilege(relation.oid, attribute.attnum, 'SELECT')
             AND NOT (relation.relname || '.' || attribute.attname) = ANY (%(impersonal)s)
             AND NOT EXISTS (
                 SELECT FROM pg_depend AS member
                 WHERE member.classid = 'pg_class'::regclass AND member.objid = relation.oid AND member.deptype = 'e'
             )
       ) AS can_read_personal_data
