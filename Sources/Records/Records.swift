// Records: to be written.
