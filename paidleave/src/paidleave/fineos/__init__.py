"""The jobs that talk to FINEOS, the vendor-hosted claims system: employers, eligibility feed, employee updates."""
