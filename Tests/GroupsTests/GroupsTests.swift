// Groups tests: to be written.
