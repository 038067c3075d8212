// KafkaRecords: to be written.
