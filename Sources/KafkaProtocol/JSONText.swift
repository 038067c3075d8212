// Stored records as JSON, in the spelling of Kafka's own converters, which its tools print.

import Values

/// A stored message that can be shown. The fields are those of the version, in the schema's order;
/// a tagged one only when it differs from its default.
public protocol JSONShowable {
  func json(version: Int16) -> String
}

/// Pieces of JSON without blanks. Bytes are base64, ids are their text.
public enum JSONText {
  public static func field(_ name: String, _ value: String) -> String { "\"\(name)\":\(value)" }
  public static func object(_ fields: [String]) -> String { "{\(fields.joined(separator: ","))}" }
  public static func array(_ items: [String]) -> String { "[\(items.joined(separator: ","))]" }

  public static func value(_ value: Bool) -> String { value ? "true" : "false" }
  public static func value(_ value: some FixedWidthInteger) -> String { "\(value)" }
  public static func value(_ value: Double) -> String { "\(value)" }
  public static func value(_ value: Uuid) -> String { quoted("\(value)") }
  public static func value(_ value: String) -> String { quoted(value) }
  public static func value(_ value: String?) -> String { value.map(quoted) ?? "null" }
  public static func value(_ value: [UInt8]) -> String { "\"\(base64(value))\"" }
  public static func value(_ value: [UInt8]?) -> String { value.map { self.value($0) } ?? "null" }
  public static func value(_ value: [some SignedInteger]) -> String {
    array(value.map { "\($0)" })
  }
  public static func value(_ value: [some SignedInteger]?) -> String {
    value.map { self.value($0) } ?? "null"
  }
  public static func value(_ value: [Uuid]) -> String { array(value.map { quoted("\($0)") }) }
  public static func value(_ value: [Uuid]?) -> String { value.map { self.value($0) } ?? "null" }
  public static func value(_ value: [String]) -> String { array(value.map(quoted)) }
  public static func value(_ value: [String]?) -> String { value.map { self.value($0) } ?? "null" }

  /// A struct, or a list of them; null where there is none.
  public static func show(_ value: (some JSONShowable)?, version: Int16) -> String {
    value?.json(version: version) ?? "null"
  }

  public static func show(_ values: [some JSONShowable]?, version: Int16) -> String {
    values.map { array($0.map { $0.json(version: version) }) } ?? "null"
  }

  private static func quoted(_ text: String) -> String {
    let hex = Array("0123456789ABCDEF".utf8)
    var out = [UInt8(ascii: "\"")]
    for byte in text.utf8 {
      switch byte {
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
    return String(decoding: out, as: UTF8.self)
  }

  private static let digits = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  private static func base64(_ bytes: [UInt8]) -> String {
    var out: [UInt8] = []
    out.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
      for place in 0..<4 {
        let digit = digits[Int(bits >> UInt32(18 - 6 * place) & 63)]
        out.append(place <= group.count ? digit : UInt8(ascii: "="))
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}
