-- Create the new employees with their IDs at FINEOS.
INSERT INTO employee (
    employee_id, tax_identifier_id, first_name, last_name,
    title_id, gender_id, marital_status_id, occupation_id, date_of_birth,
    phone_number, cell_phone_number, email_address, fineos_customer_number
)
SELECT
    person.employee_id, tax_identifier.tax_identifier_id, coalesce(incoming.first_name, ''), coalesce(incoming.last_name, ''),
    incoming.title_id, incoming.gender_id, nullif(incoming.marital_status_id, 0), incoming.occupation_id, incoming.date_of_birth,
    incoming.phone_number, incoming.cell_phone_number, incoming.email_address, incoming.fineos_customer_number
FROM person
JOIN person_update AS incoming USING (employee_id)
JOIN tax_identifier ON tax_identifier.tax_identifier = person.tax_identifier
WHERE person.outcome = 'create'
ORDER BY person.first_line
