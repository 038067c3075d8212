// ZooKeeperProtocol: to be written.
