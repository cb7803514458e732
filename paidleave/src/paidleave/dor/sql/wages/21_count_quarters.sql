-- Count the outcomes of the A lines that are not duplicates.
SELECT
    count(*) FILTER (WHERE outcome = 'create') AS created_employer_quarters_count,
    count(*) FILTER (WHERE outcome = 'update') AS updated_employer_quarters_count,
    count(*) FILTER (WHERE outcome = 'unmodified') AS unmodified_employer_quarters_count
FROM quarter_line
