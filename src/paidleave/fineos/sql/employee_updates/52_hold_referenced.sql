-- Lock the people, employers and organisation units of the occupations, as the foreign keys would; how many are gone.
WITH people AS (
    SELECT FROM employee WHERE employee_id IN (SELECT employee_id FROM occupation_change) FOR KEY SHARE
), employers AS (
    SELECT FROM employer WHERE employer_id IN (SELECT employer_id FROM occupation_change) FOR KEY SHARE
), units AS (
    SELECT FROM organization_unit
    WHERE organization_unit_id IN (SELECT organization_unit_id FROM occupation_change)
    FOR KEY SHARE
)
SELECT
    (SELECT count(DISTINCT employee_id) + count(DISTINCT employer_id) + count(DISTINCT organization_unit_id)
     FROM occupation_change)
    - (SELECT count(*) FROM people) - (SELECT count(*) FROM employers) - (SELECT count(*) FROM units) AS missing
