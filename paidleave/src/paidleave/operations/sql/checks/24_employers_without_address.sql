-- Employers from DOR without an address.
SELECT count(*)
FROM employer
WHERE dor_updated_date IS NOT NULL
  AND NOT EXISTS (SELECT FROM link_employer_address AS link WHERE link.employer_id = employer.employer_id)
