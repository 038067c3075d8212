// Replication: to be written.
