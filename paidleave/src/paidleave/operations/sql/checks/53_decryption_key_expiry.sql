-- Keys for DOR's files that were revoked, have expired or expire soon, by the report of the last encrypted file.
SELECT count(*)
FROM (
    SELECT report::jsonb AS report FROM import_log
    WHERE report LIKE '%%"decryption_key_expires"%%' ORDER BY import_log_id DESC LIMIT 1
) AS last
WHERE (report ->> 'decryption_key_is_revoked')::boolean
   OR (report ->> 'decryption_key_expires')::timestamptz < now() + make_interval(days => %(key_warning_days)s)
