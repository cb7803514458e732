-- Lock the employers of the A lines, as the foreign key would; how many of them are gone.
WITH referenced AS (
    SELECT DISTINCT employer_id FROM staged_quarter
), held AS (
    SELECT FROM employer WHERE employer_id IN (SELECT employer_id FROM referenced) FOR KEY SHARE
)
SELECT (SELECT count(*) FROM referenced) - (SELECT count(*) FROM held) AS missing
