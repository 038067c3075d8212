// Metadata: to be written.
