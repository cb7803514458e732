-- Create the staging table for the valid rows of one file. The columns have the order of the COPY statement.
-- A marital status of 0 is FINEOS's value "Unknown", which clears a stored marital status.
CREATE TEMPORARY TABLE staged_update (
    line_number bigint NOT NULL,
    employee_id uuid NOT NULL,
    tax_identifier text,
    first_name text,
    last_name text,
    title_id integer,
    gender_id integer,
    marital_status_id integer,
    occupation_id integer,
    date_of_birth date,
    phone_number text,
    cell_phone_number text,
    email_address text,
    fineos_customer_number text,
    fineos_employer_id integer,
    job_title text,
    employment_status text,
    manager_id text,
    worksite_id text,
    occupation_qualifier text,
    date_of_hire date,
    date_job_ended date,
    hours_worked_per_week numeric,
    days_worked_per_week numeric,
    organization_unit_name text
) ON COMMIT DROP
