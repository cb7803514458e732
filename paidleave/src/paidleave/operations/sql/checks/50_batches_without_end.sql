-- Imports in progress for more than a day: their process no longer exists.
SELECT count(*) FROM import_log WHERE status = 'in progress' AND start < now() - interval '1 day'
