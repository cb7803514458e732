-- Of the employers whose lock is ours, those that nobody loaded before we had it.
SELECT employer_id FROM employer WHERE employer_id = ANY (%(employers)s) AND fineos_employer_id IS NULL;
