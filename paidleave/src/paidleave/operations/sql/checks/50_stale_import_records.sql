-- Records in import_log that have been in progress for more than a day, so their process no longer exists.
SELECT count(*) FROM import_log WHERE status = 'in progress' AND start < now() - interval '1 day'
