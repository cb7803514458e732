-- Select the CSVs that were used for an employer in the file.
SELECT DISTINCT csv_number FROM employer_exemption WHERE csv_number IS NOT NULL ORDER BY 1
