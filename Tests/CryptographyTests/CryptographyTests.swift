// Cryptography tests: to be written.
