-- Count the outcomes of the lines that are not duplicates.
SELECT
    count(*) FILTER (WHERE outcome = 'create') AS created_employers_count,
    count(*) FILTER (WHERE outcome = 'update') AS updated_employers_count,
    count(*) FILTER (WHERE outcome = 'unmodified') AS unmodified_employers_count
FROM employer_line
