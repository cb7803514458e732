-- Create the new employees.
INSERT INTO employee (employee_id, tax_identifier_id, first_name, last_name, latest_import_log_id)
SELECT employee_id, tax_identifier_id, first_name, last_name, %(import_log_id)s
FROM person
WHERE is_new
ORDER BY ssn
