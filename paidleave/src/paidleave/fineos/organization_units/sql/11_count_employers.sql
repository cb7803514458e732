-- How many employers FINEOS knows.
SELECT count(*) FROM employer WHERE fineos_employer_id IS NOT NULL
