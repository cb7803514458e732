-- Count the employers of full and list mode in the snapshot of the pass: all, and those at FINEOS, which get a file.
SELECT count(*) AS employers, count(fineos_employer_id) AS known
FROM employer
WHERE %(employer_ids)s::uuid[] IS NULL OR employer_id = ANY (%(employer_ids)s)
