-- Rename the employees whose names have changed.
UPDATE employee
SET first_name = person.first_name,
    last_name = person.last_name,
    latest_import_log_id = %(import_log_id)s,
    updated_at = now()
FROM person
WHERE person.is_renamed AND employee.employee_id = person.employee_id
