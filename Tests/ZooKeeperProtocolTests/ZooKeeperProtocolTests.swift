// ZooKeeperProtocol tests: to be written.
