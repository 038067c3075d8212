// KafkaClient: to be written.
