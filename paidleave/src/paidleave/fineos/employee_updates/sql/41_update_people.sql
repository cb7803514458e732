-- Overwrite what changed of known employees.
UPDATE employee
SET title_id = said.title_id,
    gender_id = said.gender_id,
    marital_status_id = said.marital_status_id,
    occupation_id = said.occupation_id,
    date_of_birth = said.date_of_birth,
    phone_number = said.phone_number,
    cell_phone_number = said.cell_phone_number,
    email_address = said.email_address,
    fineos_customer_number = said.fineos_customer_number,
    updated_at = now()
FROM person_change AS said
WHERE employee.employee_id = said.employee_id
