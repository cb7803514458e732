-- Create the table of accepted rows of the CSVs, which are numbered in the order of their names.
CREATE TEMPORARY TABLE staged_return (
    csv_number integer NOT NULL,
    line_number bigint NOT NULL,
    fein text NOT NULL,
    family_exemption boolean NOT NULL,
    medical_exemption boolean NOT NULL,
    effective_date date
) ON COMMIT DROP
