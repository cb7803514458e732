-- DOR account keys with more than one employer.
SELECT count(*)
FROM (SELECT FROM employer WHERE account_key IS NOT NULL GROUP BY account_key HAVING count(*) > 1) AS duplicate
