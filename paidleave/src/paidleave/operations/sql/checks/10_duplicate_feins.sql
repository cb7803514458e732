-- FEINs with more than one employer.
SELECT count(*) FROM (SELECT FROM employer GROUP BY employer_fein HAVING count(*) > 1) AS duplicate
