/// JSON as znodes hold it: a value tree that keeps the order of fields, and a writer that escapes
/// as Kafka's library does, so that what is written is byte for byte what Kafka would have written.
public indirect enum JSON: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// A number that is no int64, as it stood in the text.
  case number(String)
  case string(String)
  case array([JSON])
  case object([Field])

  public struct Field: Equatable, Sendable {
    public var name: String
    public var value: JSON
    public init(_ name: String, _ value: JSON) {
      self.name = name
      self.value = value
    }
  }

  // MARK: Access

  /// The first field of that name, nil in anything but an object.
  // A linear search: objects in znodes have a handful of fields, but those of large topics, which
  // are walked and not searched.
  public subscript(name: String) -> JSON? {
    guard case .object(let fields) = self else { return nil }
    return fields.first { $0.name == name }?.value
  }

  /// The text, nil for anything else; and so on for the other kinds.
  public var string: String? {
    if case .string(let text) = self { return text }
    return nil
  }

  public var int64: Int64? {
    if case .integer(let value) = self { return value }
    return nil
  }

  public var int32: Int32? { int64.flatMap { Int32(exactly: $0) } }

  public var array: [JSON]? {
    if case .array(let elements) = self { return elements }
    return nil
  }

  public var fields: [Field]? {
    if case .object(let fields) = self { return fields }
    return nil
  }

  /// An array of int32, nil if it is anything else.
  public var int32s: [Int32]? {
    guard let array else { return nil }
    let numbers = array.compactMap(\.int32)
    return numbers.count == array.count ? numbers : nil
  }

  static func int32s(_ numbers: [Int32]) -> JSON { .array(numbers.map { .integer(Int64($0)) }) }

  // MARK: Writing

  /// The shortest text: no blanks, as Kafka writes it.
  public var bytes: [UInt8] {
    var out: [UInt8] = []
    write(to: &out)
    return out
  }

  private func write(to out: inout [UInt8]) {
    switch self {
    case .null: out += "null".utf8
    case .bool(let value): out += (value ? "true" : "false").utf8
    case .integer(let value): out += String(value).utf8
    case .number(let text): out += text.utf8
    case .string(let text): Self.write(text, to: &out)
    case .array(let elements):
      out.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        element.write(to: &out)
      }
      out.append(UInt8(ascii: "]"))
    case .object(let fields):
      out.append(UInt8(ascii: "{"))
      for (index, field) in fields.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        Self.write(field.name, to: &out)
        out.append(UInt8(ascii: ":"))
        field.value.write(to: &out)
      }
      out.append(UInt8(ascii: "}"))
    }
  }

  private static func write(_ text: String, to out: inout [UInt8]) {
    let hex = Array("0123456789ABCDEF".utf8)
    out.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      // The slash is not escaped, nor is anything beyond ASCII.
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
      case 0x08: out += "\\b".utf8
      case 0x09: out += "\\t".utf8
      case 0x0a: out += "\\n".utf8
      case 0x0c: out += "\\f".utf8
      case 0x0d: out += "\\r".utf8
      case 0..<0x20:
        out += "\\u00".utf8
        out += [hex[Int(byte >> 4)], hex[Int(byte & 15)]]
      default: out.append(byte)
      }
    }
    out.append(UInt8(ascii: "\""))
  }
}
