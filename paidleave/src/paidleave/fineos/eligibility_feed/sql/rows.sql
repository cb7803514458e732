-- Return one CSV record per employee, grouped by employer, in an ordered pass.
-- Each record starts with the employer's customer number, the number of the employer's rows in this snapshot, and the
-- telephone and cell numbers that are not split here (all but ten-digit numbers of country code 1). The 67 columns of
-- the feed follow. Empty texts become NULL because COPY would quote them. Dates have the transaction's DateStyle.
-- OFFSET 0 keeps the inner queries separate. The innermost joins and sorts the stored values, in parallel workers. The
-- one around it evaluates each expression once, while the client reads the rows: the sort has to end before the first row.
-- It also counts, so that the rows of a large employer wait for their number before their expressions are evaluated.
COPY (
    SELECT
        fineos_employer_id, records,
        CASE WHEN plain_phone IS NULL THEN phone END, CASE WHEN plain_cell IS NULL THEN cell END,
        -- 1 employeeIdentifier … 10 employeeSecondName
        employee_id, first_name, last_name, date_of_birth, job_title, date_of_hire, employment_status, hours,
        title, middle_name,
        -- 11 employeeThirdName, 12 employeeDateOfDeath … 16 employeeNationalIDType
        NULL, date_of_death, gender, marital_status, national_id,
        CASE
            WHEN national_id LIKE '9%' THEN 'Individual Taxpayer Identification Number'
            WHEN national_id IS NOT NULL THEN 'Social Security Number'
        END,
        -- 17 spouseIdentifier … 29 spouseNationalIDType
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        -- 30 addressType … 38 addressCounty
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        -- 39 telephoneIntCode … 41 telephoneNumber, 42 cellIntCode … 44 cellNumber
        CASE WHEN plain_phone IS NOT NULL THEN '1' END, substr(plain_phone, 3, 3), substr(plain_phone, 6),
        CASE WHEN plain_cell IS NOT NULL THEN '1' END, substr(plain_cell, 3, 3), substr(plain_cell, 6),
        -- 45 employeeEmail … 49 employeeEndDate
        email_address, NULL, NULL, NULL, date_job_ended,
        -- 50 employmentStrength … 53 employeeOrgUnitName … 56 employeeWorkAtHome
        NULL, NULL, NULL, unit_name, NULL, NULL, NULL,
        -- 57 employeeDaysWorkedPerWeek … 60 employmentWorkState
        days, NULL, NULL, 'MA',
        -- 61 managerIdentifier, 62 occupationQualifier, 63 employeeWorkSiteId … 67 employeeEarningFrequency
        manager_id, occupation_qualifier, worksite_id, NULL, NULL, NULL, NULL
    FROM (
        SELECT
            number, fineos_employer_id, count(*) OVER (PARTITION BY number) AS records,
            employee_id, first_name, last_name,
            nullif(middle_name, '') AS middle_name,
            nullif(email_address, '') AS email_address,
            nullif(phone_number, '') AS phone,
            nullif(cell_phone_number, '') AS cell,
            CASE WHEN phone_number ~ '^\+1[2-9][0-9]{9}$' THEN phone_number END AS plain_phone,
            CASE WHEN cell_phone_number ~ '^\+1[2-9][0-9]{9}$' THEN cell_phone_number END AS plain_cell,
            CASE WHEN date_of_birth BETWEEN '0001-01-01' AND '9999-12-31'
                 THEN date_of_birth ELSE '1753-01-01' END AS date_of_birth,
            CASE WHEN date_of_death BETWEEN '0001-01-01' AND '9999-12-31'
                 THEN date_of_death END AS date_of_death,
            nullif(replace(tax_identifier, '-', ''), '') AS national_id,
            nullif(title_description, '') AS title,
            nullif(fineos_gender_description, '') AS gender,
            nullif(marital_status_description, '') AS marital_status,
            nullif(coalesce(job_title, 'DEFAULT'), '') AS job_title,
            nullif(coalesce(employment_status, 'Active'), '') AS employment_status,
            CASE WHEN date_of_hire BETWEEN '0001-01-01' AND '9999-12-31'
                 THEN date_of_hire ELSE '2020-01-01' END AS date_of_hire,
            CASE WHEN date_job_ended BETWEEN '0001-01-01' AND '9999-12-31'
                 THEN date_job_ended END AS date_job_ended,
            -- decimal(5,2) at FINEOS: half rounds to the even digit, so that 999.995 is the first number out of range.
            CASE
                WHEN abs(hours_worked_per_week) < 999.995 THEN
                    CASE WHEN abs(hours_worked_per_week * 100 % 1) = 0.5
                         THEN round(round(hours_worked_per_week * 50) / 50, 2)
                         ELSE round(hours_worked_per_week, 2) END
                ELSE 0.00
            END AS hours,
            -- 0 days are "unknown" at FINEOS, which are not sent.
            nullif(CASE
                WHEN abs(days_worked_per_week) < 999.995 THEN
                    CASE WHEN abs(days_worked_per_week * 100 % 1) = 0.5
                         THEN round(round(days_worked_per_week * 50) / 50, 2)
                         ELSE round(days_worked_per_week, 2) END
            END, 0) AS days,
            nullif(unit_name, '') AS unit_name,
            nullif(manager_id, '') AS manager_id,
            nullif(occupation_qualifier, '') AS occupation_qualifier,
            nullif(worksite_id, '') AS worksite_id
        FROM (
            SELECT
                pair.number, employer.fineos_employer_id,
                employee.employee_id, employee.first_name, employee.last_name, employee.middle_name,
                employee.email_address, employee.phone_number, employee.cell_phone_number, employee.date_of_birth,
                employee.date_of_death, tax_identifier.tax_identifier, title.title_description,
                gender.fineos_gender_description, marital_status.marital_status_description, occupation.job_title,
                occupation.employment_status, occupation.date_of_hire, occupation.date_job_ended,
                occupation.hours_worked_per_week, occupation.days_worked_per_week, unit.name AS unit_name,
                occupation.manager_id, occupation.occupation_qualifier, occupation.worksite_id
            FROM eligibility_feed_pair AS pair
            JOIN employer ON employer.employer_id = pair.employer_id
            JOIN employee ON employee.employee_id = pair.employee_id
            LEFT JOIN tax_identifier ON tax_identifier.tax_identifier_id = employee.tax_identifier_id
            LEFT JOIN lk_title AS title ON title.title_id = employee.title_id
            LEFT JOIN lk_gender AS gender ON gender.gender_id = employee.gender_id
            LEFT JOIN lk_marital_status AS marital_status
                ON marital_status.marital_status_id = employee.marital_status_id
            LEFT JOIN employee_occupation AS occupation
                ON occupation.employee_id = pair.employee_id AND occupation.employer_id = pair.employer_id
            LEFT JOIN organization_unit AS unit ON unit.organization_unit_id = occupation.organization_unit_id
            -- FINEOS rejects the whole file if it contains a person without a name.
            WHERE btrim(employee.first_name) <> '' AND btrim(employee.last_name) <> ''
            ORDER BY pair.number, employee.employee_id
            OFFSET 0
        ) AS stored
        ORDER BY number, employee_id
        OFFSET 0
    ) AS record
    ORDER BY number, employee_id
) TO STDOUT (FORMAT csv, ENCODING 'UTF8')
