-- Stage the B lines as wages, which contain only the wages of the quarter.
INSERT INTO staged_wage (
    line_number, ssn, employer_id, filing_period, is_independent_contractor, is_opted_in,
    employee_ytd_wages, employee_qtr_wages, employee_med_contribution, employer_med_contribution,
    employee_fam_contribution, employer_fam_contribution, first_name, last_name
)
SELECT
    line_number, ssn, employer_id, filing_period, false, false,
    0, employee_qtr_wages, 0, 0, 0, 0, first_name, last_name
FROM staged_response_wage
JOIN named_employer USING (fein)
