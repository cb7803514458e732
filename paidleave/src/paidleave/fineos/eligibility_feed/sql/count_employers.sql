-- Count the employers of full and list mode in the snapshot of the pass.
SELECT count(*)
FROM employer
WHERE %(employer_ids)s::uuid[] IS NULL OR employer_id = ANY (%(employer_ids)s)
