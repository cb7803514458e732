-- Create the table of accepted B lines, each with the employer and quarter of its A line.
CREATE TEMPORARY TABLE staged_response_wage (
    line_number bigint NOT NULL,
    ssn integer NOT NULL,
    fein text NOT NULL,
    filing_period date NOT NULL,
    employee_qtr_wages numeric NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL
) ON COMMIT DROP
