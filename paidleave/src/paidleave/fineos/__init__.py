"""Jobs that exchange employers, eligibility data and employee updates with FINEOS, the vendor-hosted claims system."""
