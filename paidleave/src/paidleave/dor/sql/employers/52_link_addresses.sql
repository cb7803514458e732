-- Link the created addresses to their employers.
INSERT INTO link_employer_address (employer_id, address_id)
SELECT coalesce(line.stored_id, line.new_id), line.new_id
FROM employer_line AS line
JOIN address ON address.address_id = line.new_id
ORDER BY 1
