-- Tax identifiers without an employee.
SELECT count(*)
FROM tax_identifier
WHERE NOT EXISTS (SELECT FROM employee WHERE employee.tax_identifier_id = tax_identifier.tax_identifier_id)
