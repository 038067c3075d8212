// How Kafka's names are spelled in Swift.

enum SwiftNames {
  private static let keywords: Set<String> = [
    "protocol", "default", "operator", "in", "is", "as", "self", "init", "internal", "extension",
    "repeat", "throws", "where", "case", "class", "enum", "func", "import", "let", "var", "switch",
  ]

  /// `TopicId` → `topicID`, `OwnedPartitions` → `ownedPartitions`.
  static func property(_ name: String) -> String {
    let spelled = lowerCamel(name)
    return keywords.contains(spelled) ? "`\(spelled)`" : spelled
  }

  /// How a generated function names a field: through `self` where a local name would hide it.
  static func member(_ name: String) -> String {
    let spelled = property(name)
    return locals.contains(spelled) ? "self.\(spelled)" : spelled
  }

  private static let locals: Set<String> = [
    "version", "reader", "writer", "flexible", "count", "items", "item", "part", "tag", "tagged",
    "left", "end", "frame", "index",
  ]

  static func lowerCamel(_ name: String) -> String {
    name.prefix(1).lowercased() + capitalizedIDs(String(name.dropFirst()))
  }

  /// The case of an API or record in an enumeration: `InitProducerId` → `initProducerID`.
  static func enumCase(_ name: String) -> String { property(name) }

  /// `Id` at the end of a word becomes `ID`, `Ids` becomes `IDs`.
  private static func capitalizedIDs(_ text: String) -> String {
    let letters = Array(text)
    var spelled = letters
    for index in letters.indices.dropLast() where letters[index] == "I" && letters[index + 1] == "d"
    {
      var next = index + 2
      if next < letters.count, letters[next] == "s" { next += 1 }
      if next == letters.count || letters[next].isUppercase { spelled[index + 1] = "D" }
    }
    return String(spelled)
  }

  static func type(_ type: FieldType) -> String {
    switch type {
    case .bool: "Bool"
    case .int8: "Int8"
    case .int16: "Int16"
    case .uint16: "UInt16"
    case .int32: "Int32"
    case .int64: "Int64"
    case .float64: "Double"
    case .uuid: "Uuid"
    case .string: "String"
    case .bytes: "[UInt8]"
    case .records: "RecordsField"
    case .structure(let name): name
    case .array(let element): "[\(self.type(element))]"
    }
  }

  /// The part of a primitive's read and write functions that names its type.
  static func primitive(_ type: FieldType) -> String {
    switch type {
    case .bool: "Bool"
    case .int8: "Int8"
    case .int16: "Int16"
    case .uint16: "UInt16"
    case .int32: "Int32"
    case .int64: "Int64"
    case .float64: "Double"
    case .uuid: "Uuid"
    case .string: "String"
    case .bytes: "ByteArray"
    case .records: "Records"
    case .structure(let name): name
    case .array(let element): primitive(element) + "Array"
    }
  }
}
