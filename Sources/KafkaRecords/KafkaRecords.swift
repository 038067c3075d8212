// The records that Kafka keeps in its own logs: cluster metadata, group offsets, transaction state,
// remote log metadata, the control records of a Raft log, and the consumer protocol's embedded
// messages.
//
// `Generated/` is what schemac makes of Sources/KafkaProtocol/Schemas/records; this file only says
// so.
