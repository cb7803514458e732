-- Create the tax identifiers that are new; one without an employee is used again.
INSERT INTO tax_identifier (tax_identifier_id, tax_identifier)
SELECT tax_identifier_id, tax_identifier
FROM person
WHERE is_new_tax_identifier
ORDER BY ssn
