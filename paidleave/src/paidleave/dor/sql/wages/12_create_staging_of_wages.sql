-- Create the table of accepted B lines of one file, with columns in the order of the COPY.
CREATE TEMPORARY TABLE staged_wage (
    line_number bigint NOT NULL,
    ssn integer NOT NULL,
    employer_id uuid NOT NULL,
    filing_period date NOT NULL,
    is_independent_contractor boolean NOT NULL,
    is_opted_in boolean NOT NULL,
    employee_ytd_wages numeric NOT NULL,
    employee_qtr_wages numeric NOT NULL,
    employee_med_contribution numeric NOT NULL,
    employer_med_contribution numeric NOT NULL,
    employee_fam_contribution numeric NOT NULL,
    employer_fam_contribution numeric NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL
) ON COMMIT DROP
