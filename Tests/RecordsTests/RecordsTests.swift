// Records tests: to be written.
