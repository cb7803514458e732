-- Update the stored employees that changed.
UPDATE employee
SET title_id = incoming.title_id,
    gender_id = incoming.gender_id,
    marital_status_id = incoming.marital_status_id,
    occupation_id = incoming.occupation_id,
    date_of_birth = incoming.date_of_birth,
    phone_number = incoming.phone_number,
    cell_phone_number = incoming.cell_phone_number,
    email_address = incoming.email_address,
    fineos_customer_number = incoming.fineos_customer_number,
    updated_at = now()
FROM person_change AS incoming
WHERE employee.employee_id = incoming.employee_id
