-- Set the exemption of every employer in the file: full and without an end date.
CREATE TEMPORARY TABLE employer_exemption ON COMMIT DROP AS
SELECT fein, true AS family_exemption, true AS medical_exemption, date '9999-12-31' AS cease_date
FROM named_employer
