// Reads the schema notation, which Sources/KafkaProtocol/Schemas/README.md describes.

/// Parses one file, line by line; indentation (two spaces a level) gives the nesting.
struct SchemaParser {
  private let path: String
  private var lineNumber = 0
  private var file: SchemaFile
  /// Where the line before stands: the index of each field on the way to it, outermost first.
  private var place: [Int] = []
  /// Whether fields now belong to the last common structure instead of to the message.
  private var inCommon = false

  static func parse(_ text: String, path: String) throws -> SchemaFile {
    let name = path.split(separator: "/").last.map { String($0.dropLast(".kafka".count)) } ?? path
    var parser = SchemaParser(path: path, file: SchemaFile(name: name))
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      parser.lineNumber += 1
      try parser.read(line)
    }
    return parser.file
  }

  private init(path: String, file: SchemaFile) {
    self.path = path
    self.file = file
  }

  private func failure(_ message: String) -> SchemaError {
    SchemaError(file: path, line: lineNumber, message: message)
  }

  private mutating func read(_ line: Substring) throws {
    let text = line.prefix { $0 != "#" }
    let spaces = text.prefix { $0 == " " }.count
    let words = text.split(separator: " ").map(String.init)
    guard let first = words.first else { return }
    guard spaces % 2 == 0 else { throw failure("odd indentation") }
    let depth = spaces / 2
    if depth == 0 {
      try readHeading(first, words)
    } else if first == "listeners", depth == 1, file.messages.isEmpty {
      file.listeners = words.dropFirst().filter { $0 != "none" }
    } else if first == "struct", depth == 1 {
      guard words.count == 3, let message = file.messages.indices.last else {
        throw failure("expected: struct Name versions")
      }
      file.messages[message].common.append(Structure(name: words[1], fields: []))
      inCommon = true
      place = []
    } else {
      try readField(words, depth: inCommon ? depth - 1 : depth)
    }
  }

  // MARK: Headings

  private mutating func readHeading(_ first: String, _ words: [String]) throws {
    inCommon = false
    place = []
    if first == "api" {
      guard words.count == 3, let key = Int16(words[1]) else { throw failure("api key Name") }
      file.apiKey = key
      file.apiName = words[2]
      return
    }
    guard let kind = MessageKind(rawValue: first) else { throw failure("unknown heading \(first)") }
    var rest = words.dropFirst()
    var message = Message(kind: kind, name: "", versions: .none)
    switch kind {
    case .request, .response:
      guard let apiName = file.apiName else { throw failure("\(first) outside of an api") }
      message.name = apiName + (kind == .request ? "Request" : "Response")
      message.key = file.apiKey
    case .metadata, .remote:
      guard let key = rest.popFirst().flatMap({ Int16($0) }) else {
        throw failure("no record type")
      }
      message.key = key
      message.name = rest.popFirst() ?? ""
    case .data, .header:
      message.name = rest.popFirst() ?? ""
    }
    message.versions = try versions(rest.popFirst())
    while let word = rest.popFirst() {
      switch word {
      case "flexible": message.flexible = try versions(rest.popFirst())
      case "deprecated": message.deprecated = try versions(rest.popFirst())
      case "latest" where rest.popFirst() == "unstable": message.latestIsUnstable = true
      default: throw failure("unknown attribute \(word)")
      }
    }
    file.messages.append(message)
  }

  // MARK: Fields

  private mutating func readField(_ words: [String], depth: Int) throws {
    guard words.count >= 3, depth >= 1 else { throw failure("expected: Name type versions") }
    guard depth <= place.count + 1 else { throw failure("indented below nothing") }
    var field = Field(name: words[0], type: .bool, versions: try versions(words[2]))
    try readType(words[1], into: &field)
    var rest = words.dropFirst(3)
    while let word = rest.popFirst() {
      switch word {
      case "tag": field.tag = rest.popFirst().flatMap { Int($0) }
      case "default": field.defaultText = rest.popFirst()
      case "key": field.isKey = true
      case "ignorable": field.isIgnorable = true
      case "rigid": field.isRigid = true
      case "borrowed": break
      case "is": field.entity = rest.popFirst()
      default: throw failure("unknown attribute \(word)")
      }
    }
    guard let message = file.messages.indices.last else { throw failure("field of no message") }
    place = Array(place.prefix(depth - 1))
    let index: Int
    let steps = place[...]
    var target = file.messages[message]
    if inCommon {
      index = try append(field, to: &target.common[target.common.count - 1].fields, at: steps)
    } else {
      index = try append(field, to: &target.fields, at: steps)
    }
    file.messages[message] = target
    place.append(index)
  }

  /// Appends below the field that `steps` leads to; returns the index among its siblings.
  private func append(
    _ field: Field, to fields: inout [Field], at steps: ArraySlice<Int>
  ) throws -> Int {
    guard let next = steps.first else {
      fields.append(field)
      return fields.count - 1
    }
    guard fields[next].type.structureName != nil else {
      throw failure("\(fields[next].name) is no structure")
    }
    return try append(field, to: &fields[next].fields, at: steps.dropFirst())
  }

  private func readType(_ word: String, into field: inout Field) throws {
    let parts = word.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    if parts.count == 2 {
      field.nullable = parts[1].isEmpty ? field.versions : try versions(String(parts[1]))
    }
    field.type = Self.type(String(parts[0]))
  }

  private static func type(_ word: String) -> FieldType {
    if word.hasPrefix("[]") { return .array(type(String(word.dropFirst(2)))) }
    switch word {
    case "bool": return .bool
    case "int8": return .int8
    case "int16": return .int16
    case "uint16": return .uint16
    case "int32": return .int32
    case "int64": return .int64
    case "float64": return .float64
    case "uuid": return .uuid
    case "string": return .string
    case "bytes": return .bytes
    case "records": return .records
    default: return .structure(word)
    }
  }

  /// `3`, `0-7`, `4+`.
  private func versions(_ word: String?) throws -> Versions {
    guard let word else { throw failure("versions are missing") }
    if word.hasSuffix("+"), let first = Int16(word.dropLast()) {
      return Versions(first: first, last: .max)
    }
    let ends = word.split(separator: "-").compactMap { Int16($0) }
    guard let first = ends.first, let last = ends.last, ends.count <= 2, first <= last else {
      throw failure("not a range of versions: \(word)")
    }
    return Versions(first: first, last: last)
  }
}
