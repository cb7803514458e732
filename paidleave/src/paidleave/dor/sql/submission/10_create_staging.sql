-- Create the table of accepted rows of one CSV, with columns in the order of the COPY.
CREATE TEMPORARY TABLE staged_submission (
    line_number bigint NOT NULL,
    fein text NOT NULL,
    first_requested_quarter date NOT NULL
) ON COMMIT DROP
