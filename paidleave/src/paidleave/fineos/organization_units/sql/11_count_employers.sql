-- Count the employers at FINEOS.
SELECT count(*) FROM employer WHERE fineos_employer_id IS NOT NULL
