-- Create the table of employers whose number lookup failed, with the error.
CREATE TEMPORARY TABLE eligibility_feed_failure (employer_id uuid PRIMARY KEY, error text NOT NULL)
