-- The rights of the current user that matter to execute-sql: one row, in which NULL means that a check was impossible.
WITH relation AS (
    SELECT class.oid, class.relname, class.relkind, class.relnamespace = current_schema()::regnamespace AS is_declared
    FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE class.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND has_schema_privilege(namespace.oid, 'USAGE')
      -- Every user may read the other relations of these two schemas; they hold no rows of tables.
      AND (
          namespace.nspname NOT IN ('pg_catalog', 'information_schema')
          OR class.relname IN ('pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject', 'pg_authid')
      )
)
SELECT current_schema()::text AS schema,
       (SELECT count(*) FROM relation WHERE is_declared) AS tables,
       (
           SELECT array_agg(rolname::text ORDER BY rolname) FROM pg_roles
           WHERE pg_has_role(oid, 'MEMBER') AND rolname NOT IN (current_user, 'rds_iam')
       ) AS roles,
       (SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
        FROM pg_roles WHERE rolname = current_user)
       OR has_database_privilege(current_database(), 'CREATE')
       OR EXISTS (
           SELECT FROM relation
           WHERE has_table_privilege(oid, 'DELETE, TRUNCATE') OR has_any_column_privilege(oid, 'INSERT, UPDATE')
       )
       OR EXISTS (
           SELECT FROM pg_class AS sequence
           WHERE CASE WHEN sequence.relkind = 'S' THEN has_sequence_privilege(sequence.oid, 'USAGE, UPDATE') END
             AND has_schema_privilege(sequence.relnamespace, 'USAGE')
       ) AS can_write,
       EXISTS (
           SELECT FROM relation JOIN pg_attribute AS attribute ON attribute.attrelid = relation.oid
           WHERE attribute.attnum > 0 AND NOT attribute.attisdropped
             AND has_column_privilege(relation.oid, attribute.attnum, 'SELECT')
             AND (relation.is_declared AND relation.relkind IN ('r', 'p')
                  AND relation.relname || '.' || attribute.attname = ANY (%(impersonal)s)) IS NOT TRUE
             AND NOT EXISTS (
                 SELECT FROM pg_depend AS member
                 WHERE member.classid = 'pg_class'::regclass AND member.objid = relation.oid AND member.deptype = 'e'
             )
       ) AS can_read_personal_data,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'temp_file_limit') AS temp_file_limit
