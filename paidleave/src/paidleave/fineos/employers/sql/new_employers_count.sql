-- How many employers FINEOS does not know.
SELECT count(*) FROM employer WHERE fineos_employer_id IS NULL;
