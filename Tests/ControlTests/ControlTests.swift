// Control tests: to be written.
