// Kafka's requests and responses, one generated struct per message and one file per API.
//
// `Generated/` is what schemac makes of Sources/KafkaProtocol/Schemas/messages; this file only says
// so. Fields keep their wire types; a field that a version does not have keeps its default when
// that version is read, and is left out when it is written.
