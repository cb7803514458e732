-- Count the new, known and retained employers, and the A lines that repeat an employer's quarter.
SELECT
    (SELECT count(*) FROM named_employer WHERE is_new) AS new_employers,
    (SELECT count(*) FROM named_employer WHERE NOT is_new) AS known_employers,
    (SELECT count(*) FROM named_employer WHERE is_retained) AS retained_employers,
    (SELECT count(*) FROM staged_response_quarter)
        - (SELECT count(*) FROM (SELECT DISTINCT fein, filing_period FROM staged_response_quarter) AS quarter)
        AS repeated_quarters
