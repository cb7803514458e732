-- Return the locked employers that no other loader loaded before they were locked.
SELECT employer_id FROM employer WHERE employer_id = ANY (%(employers)s) AND fineos_employer_id IS NULL;
