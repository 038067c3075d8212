/// A JSON value (RFC 8259) whose members keep their order, for answers that people read.
public enum JSONValue: Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// A number's text as it is to be written.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object([(String, JSONValue)])

  /// The text: members of objects on lines of their own, indented by two blanks; arrays on one
  /// line. What scripts that were written for ZooKeeper's AdminServer grep for looks like this.
  public var pretty: String {
    var text = ""
    write(to: &text, depth: 0)
    return text
  }

  private func write(to text: inout String, depth: Int) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .number(let value): text += value
    case .string(let value): Self.quote(value, to: &text)
    case .array(let values):
      text += "[ "
      for (index, value) in values.enumerated() {
        if index > 0 { text += ", " }
        value.write(to: &text, depth: depth)
      }
      text += values.isEmpty ? "]" : " ]"
    case .object(let members):
      guard !members.isEmpty else {
        text += "{ }"
        return
      }
      let indent = String(repeating: "  ", count: depth)
      text += "{\n"
      for (index, (name, value)) in members.enumerated() {
        if index > 0 { text += ",\n" }
        text += indent + "  "
        Self.quote(name, to: &text)
        text += " : "
        value.write(to: &text, depth: depth + 1)
      }
      text += "\n" + indent + "}"
    }
  }

  private static func quote(_ value: String, to text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
