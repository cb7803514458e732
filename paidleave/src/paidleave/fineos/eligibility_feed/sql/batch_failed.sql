-- Note why an employer's file was not written; the rows get it when they are released.
UPDATE eligibility_feed_employer SET error = %(error)s WHERE fineos_employer_id = %(fineos_employer_id)s
