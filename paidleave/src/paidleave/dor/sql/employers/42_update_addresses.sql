-- Update the addresses of the updated employers, except line two and the type.
UPDATE address
SET address_line_one = line.street,
    city = line.city,
    geo_state_id = line.geo_state_id,
    geo_state_text = line.geo_state_text,
    zip_code = line.zip_code,
    country_id = line.country_id,
    updated_at = now()
FROM employer_line AS line
JOIN link_employer_address AS link ON link.employer_id = line.stored_id
WHERE line.outcome = 'update' AND address.address_id = link.address_id
