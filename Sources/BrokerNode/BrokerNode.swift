// BrokerNode: to be written.
