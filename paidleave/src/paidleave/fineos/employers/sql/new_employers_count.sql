-- Count the employers that FINEOS does not have.
SELECT count(*) FROM employer WHERE fineos_employer_id IS NULL;
