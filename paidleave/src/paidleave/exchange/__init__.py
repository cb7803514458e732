"""File exchange with FINEOS: copies between buckets, the warehouse import, and reports of the vendor's error files."""
