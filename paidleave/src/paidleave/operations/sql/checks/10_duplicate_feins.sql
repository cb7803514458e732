-- FEINs that several employers have.
SELECT count(*) FROM (SELECT FROM employer GROUP BY employer_fein HAVING count(*) > 1) AS duplicate
