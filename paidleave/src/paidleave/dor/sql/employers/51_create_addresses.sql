-- Create the addresses of new employers, and of updated ones without an address (from exempt and response files).
INSERT INTO address (
    address_id, address_type_id, address_line_one, city, zip_code, geo_state_id, geo_state_text, country_id
)
SELECT new_id, %(business_address_type_id)s, street, city, zip_code, geo_state_id, geo_state_text, country_id
FROM employer_line AS line
WHERE outcome = 'create'
   OR (outcome = 'update' AND NOT EXISTS (
        SELECT FROM link_employer_address AS link WHERE link.employer_id = line.stored_id
      ))
ORDER BY new_id
