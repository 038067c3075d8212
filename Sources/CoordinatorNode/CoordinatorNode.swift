// CoordinatorNode: to be written.
