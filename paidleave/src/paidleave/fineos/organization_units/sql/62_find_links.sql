-- Determine the links of the known administrators. The unit's ID is NULL if the employer has no unit of that name.
INSERT INTO wanted_link (administrator_id, unit_name, unit_id)
SELECT DISTINCT administrator.administrator_id, staged.unit_name, unit.organization_unit_id
FROM administrator
JOIN employer ON employer.employer_id = administrator.employer_id
JOIN staged_administrator AS staged ON staged.fein = employer.employer_fein AND staged.email = administrator.email
LEFT JOIN organization_unit AS unit
    ON unit.employer_id = administrator.employer_id AND unit.name = staged.unit_name
WHERE administrator.administrator_id IS NOT NULL
