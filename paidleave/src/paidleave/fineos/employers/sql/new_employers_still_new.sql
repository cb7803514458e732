-- Return those of our locked employers that nobody loaded before we had the lock.
SELECT employer_id FROM employer WHERE employer_id = ANY (%(employers)s) AND fineos_employer_id IS NULL;
