-- Batches in progress for longer than a day: their process is gone.
SELECT count(*) FROM import_log WHERE status = 'in progress' AND start < now() - interval '1 day'
