-- Find the administrators in the list whose employer has units at FINEOS. The ID is NULL if we do not know one.
INSERT INTO administrator (employer_id, email, administrator_id)
SELECT DISTINCT employer.employer_id, staged.email, link.user_leave_administrator_id
FROM staged_employer
JOIN employer ON employer.employer_id = staged_employer.employer_id
JOIN staged_administrator AS staged ON staged.fein = employer.employer_fein
LEFT JOIN (
    link_user_leave_administrator AS link JOIN "user" ON "user".user_id = link.user_id
) ON link.employer_id = employer.employer_id AND "user".email_address = staged.email
WHERE EXISTS (SELECT FROM staged_unit AS unit WHERE unit.employer_id = employer.employer_id)
