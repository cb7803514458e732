-- Store the number from FINEOS, unless another process stored one meanwhile.
UPDATE employer SET fineos_employer_id = %(fineos_employer_id)s, updated_at = now()
WHERE employer_id = %(employer_id)s AND fineos_employer_id IS NULL
