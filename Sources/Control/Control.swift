// Control: to be written.
