-- Return the employers whose stored number is the one that the vendor assigned.
SELECT employer.employer_id
FROM employer
JOIN unnest(%(employers)s::uuid [], %(numbers)s::integer []) AS found (employer_id, number)
    ON employer.employer_id = found.employer_id AND employer.fineos_employer_id = found.number;
