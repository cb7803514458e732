-- Employers whose number FINEOS could not be asked for, and why.
CREATE TEMPORARY TABLE eligibility_feed_failure (employer_id uuid PRIMARY KEY, error text NOT NULL)
