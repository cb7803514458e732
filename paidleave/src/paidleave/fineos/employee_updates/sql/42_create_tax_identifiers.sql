-- Create the tax identifiers of new employees. A stored one without an employee is reused.
INSERT INTO tax_identifier (tax_identifier_id, tax_identifier)
SELECT gen_random_uuid(), tax_identifier
FROM person
WHERE outcome = 'create' AND tax_identifier_id IS NULL
ORDER BY first_line
