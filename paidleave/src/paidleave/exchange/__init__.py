"""Files between us and FINEOS: copied between buckets, taken into the warehouse, read for the vendor's errors."""
