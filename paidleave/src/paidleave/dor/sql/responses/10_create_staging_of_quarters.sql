-- Create the table of accepted A lines of one exempt or response file, with columns in the order of the COPY.
CREATE TEMPORARY TABLE staged_response_quarter (
    line_number bigint NOT NULL,
    fein text NOT NULL,
    filing_period date NOT NULL,
    employer_name text
) ON COMMIT DROP
