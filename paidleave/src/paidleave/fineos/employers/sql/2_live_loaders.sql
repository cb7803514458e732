-- The loaders that are alive: each holds an advisory lock as long as its connection lives.
SELECT array_agg('loader ' || objid)
FROM pg_locks
WHERE locktype = 'advisory'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid = %(class)s AND objsubid = 2 AND granted;
