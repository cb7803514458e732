-- Lock the stored employees of new wages, as the foreign key would; how many of them are gone.
WITH referenced AS (
    SELECT DISTINCT employee_id FROM wage_change WHERE stored_id IS NULL
), held AS (
    SELECT FROM employee WHERE employee_id IN (SELECT employee_id FROM referenced) FOR KEY SHARE
)
SELECT (SELECT count(*) FROM referenced) - (SELECT count(*) FROM held) AS missing
