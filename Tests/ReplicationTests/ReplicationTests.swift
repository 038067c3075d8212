// Replication tests: to be written.
