// ZooKeeperClient: to be written.
