-- The functions that a statement of execute-sql may not call, and whether x.name calls them for a row x.
SELECT function.proname::text AS name,
       bool_or(
           function.pronargs = 1
           AND (argument.typtype = 'c' OR argument.typname IN ('record', 'any', 'anyelement', 'anynonarray'))
       ) AS takes_row
FROM pg_proc AS function LEFT JOIN pg_type AS argument ON argument.oid = function.proargtypes[0]
WHERE CASE
          WHEN function.pronamespace = 'pg_catalog'::regnamespace
          THEN function.provolatile = 'v' AND function.proname <> ALL (%(harmless)s)
          ELSE function.provolatile <> 'i' OR function.prosecdef
      END
  -- No statement can call these.
  AND function.prorettype <> ALL (ARRAY['internal', 'trigger', 'event_trigger', 'tsm_handler']::regtype[])
GROUP BY function.proname
