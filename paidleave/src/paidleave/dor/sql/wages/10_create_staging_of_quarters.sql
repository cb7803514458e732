-- Create the table of accepted A lines of one wage file, with columns in the order of the COPY.
CREATE TEMPORARY TABLE staged_quarter (
    line_number bigint NOT NULL,
    employer_id uuid NOT NULL,
    filing_period date NOT NULL,
    total_contribution numeric NOT NULL,
    received_date timestamptz NOT NULL,
    updated_date timestamptz NOT NULL,
    pfm_account_id text NOT NULL
) ON COMMIT DROP
