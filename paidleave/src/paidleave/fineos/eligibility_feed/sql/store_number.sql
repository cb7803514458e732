-- Keep the number that FINEOS told us, unless somebody else stored one meanwhile.
UPDATE employer SET fineos_employer_id = %(fineos_employer_id)s, updated_at = now()
WHERE employer_id = %(employer_id)s AND fineos_employer_id IS NULL
