-- The accepted A lines of one wage file, in this transaction only; the order of columns is that of the COPY.
CREATE TEMPORARY TABLE staged_quarter (
    line_number bigint NOT NULL,
    employer_id uuid NOT NULL,
    filing_period date NOT NULL,
    total_contribution numeric NOT NULL,
    received_date timestamptz NOT NULL,
    updated_date timestamptz NOT NULL,
    pfm_account_id text NOT NULL
) ON COMMIT DROP
