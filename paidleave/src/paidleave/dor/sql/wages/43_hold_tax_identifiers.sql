-- Lock the tax identifiers that get an employee, as the foreign key would; how many of them are gone.
WITH referenced AS (
    SELECT tax_identifier_id FROM person WHERE is_new AND NOT is_new_tax_identifier
), held AS (
    SELECT FROM tax_identifier WHERE tax_identifier_id IN (SELECT tax_identifier_id FROM referenced) FOR KEY SHARE
)
SELECT (SELECT count(*) FROM referenced) - (SELECT count(*) FROM held) AS missing
