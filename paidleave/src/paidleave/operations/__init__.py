"""What operators need around the jobs: users of the database, SQL, checks, files on other people's servers."""
