-- Count the administrators that we do not know, and the assignments to a unit that the employer does not have.
SELECT
    (SELECT count(*) FROM administrator WHERE administrator_id IS NULL) AS missing_administrators,
    (SELECT count(*) FROM wanted_link WHERE unit_id IS NULL) AS missing_units
