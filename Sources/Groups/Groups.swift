// Groups: to be written.
