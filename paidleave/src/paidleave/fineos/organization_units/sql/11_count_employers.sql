-- Count the FEINs in the list of administrators: those of one employer, of no employer, and of several employers.
SELECT
    count(*) FILTER (WHERE employers = 1) AS known,
    count(*) FILTER (WHERE employers = 0) AS missing,
    count(*) FILTER (WHERE employers > 1) AS ambiguous
FROM (
    SELECT staged.fein, count(employer.employer_id) AS employers
    FROM (SELECT DISTINCT fein FROM staged_administrator) AS staged
    LEFT JOIN employer ON employer.employer_fein = staged.fein
    GROUP BY staged.fein
) AS found
