// Znodes: to be written.
