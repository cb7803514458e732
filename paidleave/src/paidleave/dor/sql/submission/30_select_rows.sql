-- Select the rows of the submission in the order of the CSV.
SELECT fein, to_char(first_requested_quarter, 'YYYYMMDD') FROM staged_submission ORDER BY line_number
