-- Lock those of the found employers that no other loader is about to claim.
SELECT employer_id FROM employer WHERE employer_id = ANY (%(employers)s) ORDER BY employer_id
FOR NO KEY UPDATE SKIP LOCKED;
