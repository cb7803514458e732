-- Lock the known employers, as foreign keys would; how many of them are gone.
WITH held AS (
    SELECT FROM employer
    WHERE employer_id IN (SELECT employer_id FROM named_employer WHERE NOT is_new)
    FOR KEY SHARE
)
SELECT (SELECT count(*) FROM named_employer WHERE NOT is_new) - (SELECT count(*) FROM held) AS missing
