-- Lock the found employers, except those that another loader is claiming.
SELECT employer_id FROM employer WHERE employer_id = ANY (%(employers)s) ORDER BY employer_id
FOR NO KEY UPDATE SKIP LOCKED;
