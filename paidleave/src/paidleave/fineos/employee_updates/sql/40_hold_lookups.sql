-- Lock the lookup rows, as the foreign keys of the people would: the ids in staging come from these tables.
WITH titles AS (SELECT FROM lk_title FOR KEY SHARE),
     genders AS (SELECT FROM lk_gender FOR KEY SHARE),
     marital_statuses AS (SELECT FROM lk_marital_status FOR KEY SHARE),
     occupations AS (SELECT FROM lk_occupation FOR KEY SHARE)
SELECT 0 AS missing
FROM (SELECT count(*) FROM titles) AS a, (SELECT count(*) FROM genders) AS b,
     (SELECT count(*) FROM marital_statuses) AS c, (SELECT count(*) FROM occupations) AS d
