// CoordinatorNode tests: to be written.
