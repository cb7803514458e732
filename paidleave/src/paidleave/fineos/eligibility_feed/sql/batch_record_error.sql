-- Record the error of an employer's file. It is copied to the rows when they are released.
UPDATE eligibility_feed_employer SET error = %(error)s WHERE fineos_employer_id = %(fineos_employer_id)s
