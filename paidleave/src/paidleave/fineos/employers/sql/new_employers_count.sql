-- Count the employers that are not at FINEOS.
SELECT count(*) FROM employer WHERE fineos_employer_id IS NULL;
