-- Lock the import log that the new rows refer to, as the foreign key would.
WITH held AS (SELECT FROM import_log WHERE import_log_id = %(import_log_id)s FOR KEY SHARE)
SELECT 1 - count(*) AS missing FROM held
