// What the generated messages have in common.

import Bytes

/// A generated struct: made with defaults, then filled.
public protocol KafkaStruct: Sendable {
  init()
}

extension KafkaStruct {
  /// A value with some fields set: `MetadataRequest { $0.topics = nil }`.
  @inlinable public init(_ fill: (inout Self) throws -> Void) rethrows {
    self.init()
    try fill(&self)
  }
}

/// A message that the schemas define; nested structs are `KafkaStruct` only.
public protocol KafkaMessage: KafkaStruct {
  static var validVersions: ClosedRange<Int16> { get }
  /// From the first version with compact lengths and tagged fields; `Int16.max...` if none.
  static var flexibleVersions: PartialRangeFrom<Int16> { get }

  /// Reads one message; a version outside `validVersions` is refused with `.invalidValue`.
  init(from reader: inout ByteReader, version: Int16) throws(ByteError)

  /// Writes the fields that `version` has; the others are left out, whatever their value.
  /// - Precondition: `version` is in `validVersions`.
  func write(to writer: inout ByteWriter, version: Int16)

  /// Replaces records that lie in the frame by copies; see `RecordsField`.
  mutating func copyRecords(from frame: RawSpan)
}

extension KafkaMessage {
  public mutating func copyRecords(from frame: RawSpan) {}

  /// The message behind its version as an int16: so coordinators keep it in their topics' records,
  /// and members of a group put it into their subscriptions.
  public func bytes(behindVersion version: Int16) -> [UInt8] {
    var writer = ByteWriter(reserving: 128)
    writer.writeInt16(version)
    write(to: &writer, version: version)
    return writer.array()
  }
}

public protocol KafkaRequest: KafkaMessage {
  associatedtype Response: KafkaResponse
  static var apiKey: ApiKey { get }
}

public protocol KafkaResponse: KafkaMessage {
  static var apiKey: ApiKey { get }
}

/// A record of the metadata log; `recordType` is its number in the frame.
public protocol MetadataRecordMessage: KafkaMessage {
  static var recordType: Int16 { get }
}

/// A record of the remote log metadata topic (KIP-405).
public protocol RemoteRecordMessage: KafkaMessage {
  static var recordType: Int16 { get }
}
