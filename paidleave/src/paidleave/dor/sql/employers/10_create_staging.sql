-- Create the table of accepted lines of one employer file, with columns in the order of the COPY.
CREATE TEMPORARY TABLE staged_employer (
    line_number bigint NOT NULL,
    family_exemption boolean NOT NULL,
    medical_exemption boolean NOT NULL,
    exemption_commence_date date NOT NULL,
    exemption_cease_date date NOT NULL,
    updated_date timestamptz NOT NULL,
    geo_state_id integer,
    country_id integer,
    fein text NOT NULL,
    account_key text,
    employer_name text,
    employer_dba text,
    street text,
    city text,
    zip_code text,
    geo_state_text text
) ON COMMIT DROP
