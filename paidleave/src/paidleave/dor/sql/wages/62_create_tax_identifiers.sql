-- Create the new tax identifiers; a stored one without an employee is reused.
INSERT INTO tax_identifier (tax_identifier_id, tax_identifier)
SELECT tax_identifier_id, tax_identifier
FROM person
WHERE is_new_tax_identifier
ORDER BY ssn
