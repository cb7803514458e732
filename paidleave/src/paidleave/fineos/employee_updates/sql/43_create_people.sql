-- Create the new employees under the ids that FINEOS has for them.
INSERT INTO employee (
    employee_id, tax_identifier_id, first_name, last_name,
    title_id, gender_id, marital_status_id, occupation_id, date_of_birth,
    phone_number, cell_phone_number, email_address, fineos_customer_number
)
SELECT
    person.employee_id, tax_identifier.tax_identifier_id, coalesce(said.first_name, ''), coalesce(said.last_name, ''),
    said.title_id, said.gender_id, nullif(said.marital_status_id, 0), said.occupation_id, said.date_of_birth,
    said.phone_number, said.cell_phone_number, said.email_address, said.fineos_customer_number
FROM person
JOIN person_update AS said USING (employee_id)
JOIN tax_identifier ON tax_identifier.tax_identifier = person.tax_identifier
WHERE person.outcome = 'create'
ORDER BY person.first_line
