-- Count the outcomes of the people in the accepted B lines.
SELECT
    count(*) FILTER (WHERE is_new) AS created_employees_count,
    count(*) FILTER (WHERE is_renamed) AS updated_employees_count,
    count(*) FILTER (WHERE NOT is_new AND NOT is_renamed) AS unmodified_employees_count
FROM person
