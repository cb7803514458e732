-- Generate account keys for known employers without one, because wages require an account key.
UPDATE employer
SET account_key = %(key_prefix)s || employer_id,
    latest_import_log_id = %(import_log_id)s,
    updated_at = now()
WHERE account_key IS NULL AND employer_id IN (SELECT employer_id FROM named_employer WHERE NOT is_new)
