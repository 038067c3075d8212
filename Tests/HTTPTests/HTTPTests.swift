// HTTP tests: to be written.
