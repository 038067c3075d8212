// KafkaProtocol: to be written.
