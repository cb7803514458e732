-- The CSVs that said something of an employer of the file.
SELECT DISTINCT csv_number FROM employer_exemption WHERE csv_number IS NOT NULL ORDER BY 1
