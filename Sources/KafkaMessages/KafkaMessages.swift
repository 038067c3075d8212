// KafkaMessages: to be written.
