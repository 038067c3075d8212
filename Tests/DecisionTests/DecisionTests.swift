// Decision tests: to be written.
