// Containers: to be written.
