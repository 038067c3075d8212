// What clients push: OpenTelemetry's MetricsData (OTLP v1), read as far as numbers go.
import Bytes

/// One number that a client tells.
public struct ClientMetric: Equatable, Sendable {
  public enum Kind: String, Sendable {
    case gauge
    /// Since the client began.
    case total
    /// Since the last push.
    case delta
  }
  /// As the client names it: `org.apache.kafka.producer.connection.creation.total`.
  public var name: String
  public var kind: Kind
  public var value: Double
  /// Attributes of the number, in the order of their keys.
  public var attributes: [Attribute]
  /// Nanoseconds since 1970, as the client says; 0: not said.
  public var timeNs: UInt64

  public struct Attribute: Hashable, Sendable, Comparable {
    public var key: String
    public var value: String
    public static func < (a: Self, b: Self) -> Bool { (a.key, a.value) < (b.key, b.value) }
  }
}

/// Reads `opentelemetry.proto.metrics.v1.MetricsData`.
///
/// Gauges and sums come as they are; a histogram and a summary as two sums, `.count` and `.sum`
/// behind their names, which is what a rate is made of. What is not known is skipped, as protobuf
/// demands.
public struct MetricsPayload: Sendable {
  public private(set) var metrics: [ClientMetric] = []

  /// - Throws: `ByteError` for bytes that are no such message.
  public init(_ bytes: [UInt8]) throws(ByteError) {
    for resource in try Self.messages(bytes, field: 1) {
      try Self.readResource(resource, into: &metrics)
    }
  }

  private static func readResource(
    _ bytes: [UInt8], into found: inout [ClientMetric]
  ) throws(ByteError) {
    for scope in try messages(bytes, field: 2) {
      for metric in try messages(scope, field: 2) { try readMetric(metric, into: &found) }
    }
  }

  private static func readMetric(
    _ bytes: [UInt8], into found: inout [ClientMetric]
  ) throws(ByteError) {
    var name = ""
    var data: (field: Int, bytes: [UInt8])?
    try fields(of: bytes) { (field, value) throws(ByteError) in
      guard case .bytes(let content) = value else { return }
      switch field {
      case 1: name = try text(content)
      // gauge, sum, histogram, exponential histogram, summary
      case 5, 7, 9, 10, 11: data = (field, content)
      default: break
      }
    }
    guard let data, !name.isEmpty else { return }
    let kind = try kind(data.field, data.bytes)
    for point in try messages(data.bytes, field: 1) {
      if data.field == 5 || data.field == 7 {
        if let metric = try number(point, name, kind) { found.append(metric) }
      } else {
        found += try distribution(point, name, kind, of: data.field)
      }
    }
  }

  /// AggregationTemporality 1 is delta, 2 cumulative; summaries are cumulative.
  private static func kind(_ field: Int, _ bytes: [UInt8]) throws(ByteError) -> ClientMetric.Kind {
    if field == 5 { return .gauge }
    var kind = ClientMetric.Kind.total
    try fields(of: bytes) { (number, value) throws(ByteError) in
      if number == 2, case .varint(1) = value, field != 11 { kind = .delta }
    }
    return kind
  }

  private static func number(
    _ bytes: [UInt8], _ name: String, _ kind: ClientMetric.Kind
  ) throws(ByteError) -> ClientMetric? {
    var metric = ClientMetric(name: name, kind: kind, value: 0, attributes: [], timeNs: 0)
    var hasValue = false
    try fields(of: bytes) { (field, value) throws(ByteError) in
      switch (field, value) {
      case (3, .fixed64(let bits)): metric.timeNs = bits
      case (4, .fixed64(let bits)): (metric.value, hasValue) = (Double(bitPattern: bits), true)
      case (6, .fixed64(let bits)):
        (metric.value, hasValue) = (Double(Int64(bitPattern: bits)), true)
      case (7, .bytes(let pair)): metric.attributes.append(try attribute(pair))
      default: break
      }
    }
    metric.attributes.sort()
    return hasValue ? metric : nil
  }

  private static func distribution(
    _ bytes: [UInt8], _ name: String, _ kind: ClientMetric.Kind, of type: Int
  ) throws(ByteError) -> [ClientMetric] {
    var count = ClientMetric(
      name: name + ".count", kind: kind, value: 0, attributes: [], timeNs: 0)
    var sum: Double?
    // An exponential histogram numbers its attributes differently.
    let attributes = type == 10 ? 1 : type == 9 ? 9 : 7
    try fields(of: bytes) { (field, value) throws(ByteError) in
      switch (field, value) {
      case (3, .fixed64(let bits)): count.timeNs = bits
      case (4, .fixed64(let bits)): count.value = Double(bits)
      case (5, .fixed64(let bits)): sum = Double(bitPattern: bits)
      case (attributes, .bytes(let pair)): count.attributes.append(try attribute(pair))
      default: break
      }
    }
    count.attributes.sort()
    guard let sum else { return [count] }
    var total = count
    total.name = name + ".sum"
    total.value = sum
    return [count, total]
  }

  /// KeyValue: a key, and a value of which the simple kinds are understood.
  private static func attribute(_ bytes: [UInt8]) throws(ByteError) -> ClientMetric.Attribute {
    var attribute = ClientMetric.Attribute(key: "", value: "")
    try fields(of: bytes) { (field, value) throws(ByteError) in
      guard case .bytes(let content) = value else { return }
      if field == 1 { attribute.key = try text(content) }
      guard field == 2 else { return }
      try fields(of: content) { (kind, inner) throws(ByteError) in
        switch (kind, inner) {
        case (1, .bytes(let string)): attribute.value = try text(string)
        case (2, .varint(let flag)): attribute.value = flag == 0 ? "false" : "true"
        case (3, .varint(let bits)): attribute.value = "\(Int64(bitPattern: bits))"
        case (4, .fixed64(let bits)): attribute.value = "\(Double(bitPattern: bits))"
        default: break
        }
      }
    }
    return attribute
  }

  // MARK: Protocol buffers

  /// A field's value by its wire type.
  private enum Value {
    case varint(UInt64)
    case fixed64(UInt64)
    case bytes([UInt8])
    case fixed32
  }

  private static func messages(_ bytes: [UInt8], field: Int) throws(ByteError) -> [[UInt8]] {
    var found: [[UInt8]] = []
    try fields(of: bytes) { (number, value) throws(ByteError) in
      if number == field, case .bytes(let content) = value { found.append(content) }
    }
    return found
  }

  private static func fields(
    of bytes: [UInt8], _ body: (Int, Value) throws(ByteError) -> Void
  ) throws(ByteError) {
    var reader = ByteReader(bytes.span.bytes)
    while !reader.isAtEnd {
      let tag = try reader.readUnsignedVarint()
      let field = Int(tag >> 3)
      switch tag & 7 {
      case 0: try body(field, .varint(try reader.readUnsignedVarlong()))
      case 1: try body(field, .fixed64(try reader.readUInt64().byteSwapped))
      case 2:
        let length = try reader.readUnsignedVarint()
        let count = try reader.checkCount(Int(length))
        try body(field, .bytes(try reader.readBytes(count)))
      case 5:
        try reader.skip(4)
        try body(field, .fixed32)
      default: throw .invalidValue(Int64(tag & 7))
      }
    }
  }

  private static func text(_ bytes: [UInt8]) throws(ByteError) -> String {
    var reader = ByteReader(bytes.span.bytes)
    return try reader.readText(bytes.count)
  }
}
