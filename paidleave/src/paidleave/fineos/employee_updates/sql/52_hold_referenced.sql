-- Lock what the foreign keys of the occupations refer to, as they would themselves; how many are gone.
-- An update changes the organisation unit only: the employee and the employer are held by the occupation that is there.
WITH people AS (
    SELECT FROM employee
    WHERE employee_id IN (SELECT employee_id FROM occupation_change WHERE stored_id IS NULL)
    FOR KEY SHARE
), employers AS (
    SELECT FROM employer
    WHERE employer_id IN (SELECT employer_id FROM occupation_change WHERE stored_id IS NULL)
    FOR KEY SHARE
), units AS (
    SELECT FROM organization_unit
    WHERE organization_unit_id IN (SELECT organization_unit_id FROM occupation_change)
    FOR KEY SHARE
)
SELECT
    (SELECT count(DISTINCT employee_id) FILTER (WHERE stored_id IS NULL)
          + count(DISTINCT employer_id) FILTER (WHERE stored_id IS NULL)
          + count(DISTINCT organization_unit_id)
     FROM occupation_change)
    - (SELECT count(*) FROM people) - (SELECT count(*) FROM employers) - (SELECT count(*) FROM units) AS missing
