// Turns one message into Swift: its structs with their fields, and the conformance that names its
// versions. Reading and writing are in `MessageEmitter+Read` and `MessageEmitter+Write`.
//
// The generated code favours compile time and size over brevity of the schema: plain statements
// with explicit types, one struct per schema struct, no generics.

/// Collects lines at a current indentation.
struct CodeText {
  private(set) var lines: [String] = []
  private var depth = 0

  mutating func line(_ text: String = "") {
    let indent = String(repeating: "  ", count: depth)
    guard indent.count + text.count > 100, let cut = Self.cut(text) else {
      lines.append(text.isEmpty ? "" : indent + text)
      return
    }
    lines.append(indent + cut.head)
    lines.append(indent + "  " + cut.tail)
  }

  /// Where a line that is too long is broken: after its assignment, or after its first parenthesis.
  private static func cut(_ text: String) -> (head: Substring, tail: Substring)? {
    if let assignment = text.firstRange(of: " = ") {
      return (text[..<assignment.upperBound].dropLast(), text[assignment.upperBound...])
    }
    guard let parenthesis = text.firstRange(of: "(") else { return nil }
    return (text[..<parenthesis.upperBound], text[parenthesis.upperBound...])
  }

  mutating func block(_ head: String, _ body: (inout CodeText) -> Void) {
    line(head + " {")
    indented(body)
    line("}")
  }

  mutating func indented(_ body: (inout CodeText) -> Void) {
    depth += 1
    body(&self)
    depth -= 1
  }

  var text: String { lines.joined(separator: "\n") + "\n" }
}

struct MessageEmitter {
  let message: Message
  /// The versions that the struct being emitted can be asked for: those of the message, less those
  /// in which no field leads to it.
  var versions: Versions
  /// Whether the message is one that tools print.
  let isShown: Bool

  init(message: Message, isShown: Bool = false) {
    self.message = message
    self.isShown = isShown
    versions = message.versions
  }

  var isEverFlexible: Bool { !message.flexible.intersection(versions).isEmpty }
  var isAlwaysFlexible: Bool { message.flexible.covers(versions) }

  /// The expression that says whether a value is in compact form.
  func compact(_ field: Field) -> String {
    if field.isRigid || !isEverFlexible { return "false" }
    return isAlwaysFlexible ? "true" : "flexible"
  }

  func emit(into code: inout CodeText) {
    let shown = isShown ? ", JSONShowable" : ""
    code.block("public struct \(message.name): \(conformance)\(shown)") { code in
      identity(into: &code)
      code.line()
      members(message.fields, of: nil, into: &code)
    }
    for structure in message.structures {
      code.line()
      code.block("extension \(message.name)") { code in
        let shown = isShown ? ", JSONShowable" : ""
        code.block("public struct \(structure.name): KafkaStruct\(shown)") { code in
          var emitter = self
          emitter.versions = scope(of: structure.name)
          emitter.members(structure.fields, of: structure.name, into: &code)
        }
      }
    }
  }

  /// From the first to the last version in which a field of this structure can be reached.
  func scope(of structure: String) -> Versions {
    var scope = Versions.none
    func visit(_ fields: [Field], within versions: Versions) {
      for field in fields {
        guard let name = field.type.structureName else { continue }
        let inside = field.versions.intersection(versions)
        guard !inside.isEmpty else { continue }
        if name == structure {
          scope =
            scope.isEmpty
            ? inside
            : Versions(first: min(scope.first, inside.first), last: max(scope.last, inside.last))
        }
        visit(message.structure(name)?.fields ?? [], within: inside)
      }
    }
    visit(message.fields, within: message.versions)
    return scope.isEmpty ? message.versions : scope
  }

  private var conformance: String {
    switch message.kind {
    case .request: "KafkaRequest"
    case .response: "KafkaResponse"
    case .metadata: "MetadataRecordMessage"
    case .remote: "RemoteRecordMessage"
    case .data, .header: "KafkaMessage"
    }
  }

  private func identity(into code: inout CodeText) {
    switch message.kind {
    case .request:
      code.line("public typealias Response = \(message.name.dropLast(7))Response")
      code.line("public static var apiKey: ApiKey { .\(SwiftNames.enumCase(apiName)) }")
    case .response:
      code.line("public static var apiKey: ApiKey { .\(SwiftNames.enumCase(apiName)) }")
    case .metadata, .remote:
      code.line("public static var recordType: Int16 { \(message.key ?? -1) }")
    case .data, .header: break
    }
    code.line(
      "public static var validVersions: ClosedRange<Int16> { \(versions.first)...\(versions.last) }"
    )
    let flexible = isEverFlexible ? "\(message.flexible.first)" : ".max"
    code.line("public static var flexibleVersions: PartialRangeFrom<Int16> { \(flexible)... }")
  }

  private var apiName: String {
    String(message.name.dropLast(message.kind == .request ? 7 : 8))
  }

  private func members(_ fields: [Field], of structure: String?, into code: inout CodeText) {
    for field in fields {
      let optional = field.nullable.isEmpty || field.type == .records ? "" : "?"
      let type = SwiftNames.type(field.type) + optional
      code.line("public var \(SwiftNames.property(field.name)): \(type) = \(defaultValue(field))")
    }
    if !fields.isEmpty { code.line() }
    code.line("public init() {}")
    code.line()
    reader(fields, isMessage: structure == nil, into: &code)
    code.line()
    writer(fields, into: &code)
    if isShown {
      code.line()
      shower(fields, into: &code)
    }
    if let structure, comparedStructures.contains(structure) { defaultCheck(fields, into: &code) }
    if fields.contains(where: holdsRecords) { recordsCopy(fields, into: &code) }
  }

  // MARK: Defaults

  /// The Swift expression of what a field is when the version in use has no such field.
  func defaultValue(_ field: Field) -> String {
    if let text = field.defaultText {
      switch (text, field.type) {
      case ("null", .records): return ".null"
      case ("null", _): return "nil"
      case (_, .string): return "\"\(text)\""
      default: return text
      }
    }
    switch field.type {
    case .bool: return "false"
    case .int8, .int16, .uint16, .int32, .int64, .float64: return "0"
    case .uuid: return ".zero"
    case .string: return "\"\""
    case .bytes, .array: return "[]"
    case .records: return ".null"
    case .structure(let name): return "\(name)()"
    }
  }

  /// Tagged fields at their default are not written; structs in them are compared field by field.
  private var comparedStructures: Set<String> {
    var names: Set<String> = []
    for fields in [message.fields] + message.structures.map(\.fields) {
      for field in fields where field.tag != nil {
        if case .structure(let name) = field.type { names.insert(name) }
      }
    }
    return names
  }

  /// A condition that holds when the field differs from its default.
  func differsFromDefault(_ field: Field) -> String {
    let name = SwiftNames.member(field.name)
    if field.defaultText == "null" { return "\(name) != nil" }
    switch field.type {
    case .bool: return defaultValue(field) == "true" ? "!\(name)" : name
    case .array, .bytes:
      return field.nullable.isEmpty ? "!\(name).isEmpty" : "\(name)?.isEmpty != true"
    case .structure: return "!\(name).isDefault"
    case .records: return "!\(name).isNull"
    default: return "\(name) != \(defaultValue(field))"
    }
  }

  private func defaultCheck(_ fields: [Field], into code: inout CodeText) {
    code.line()
    code.block("public var isDefault: Bool") { code in
      for field in fields {
        code.line("if \(differsFromDefault(field)) { return false }")
      }
      code.line("return true")
    }
  }

  // MARK: Records

  func holdsRecords(_ field: Field) -> Bool {
    if field.type == .records { return true }
    guard let name = field.type.structureName, let structure = message.structure(name) else {
      return false
    }
    return structure.fields.contains(where: holdsRecords)
  }

  private func recordsCopy(_ fields: [Field], into code: inout CodeText) {
    code.line()
    code.line(
      "/// Replaces positions in `frame` by copies, so that the value may outlive the frame.")
    code.block("public mutating func copyRecords(from frame: RawSpan)") { code in
      for field in fields where holdsRecords(field) {
        let name = SwiftNames.member(field.name)
        if case .array = field.type {
          code.block("for index in \(name).indices") { code in
            code.line("\(name)[index].copyRecords(from: frame)")
          }
        } else {
          code.line("\(name) = \(name).copied(from: frame)")
        }
      }
    }
  }

  // MARK: Versions

  /// The condition under which a version of the message is in `wanted`; nil when it always is.
  func condition(_ wanted: Versions) -> String? {
    let inside = wanted.intersection(versions)
    if inside.isEmpty { return "false" }
    if inside.covers(versions) { return nil }
    if inside.last >= versions.last { return "version >= \(inside.first)" }
    if inside.first <= versions.first { return "version <= \(inside.last)" }
    if inside.first == inside.last { return "version == \(inside.first)" }
    return "version >= \(inside.first) && version <= \(inside.last)"
  }

  /// Emits the untagged fields, those with the same versions under one condition.
  func emitUntagged(
    _ fields: [Field], into code: inout CodeText, _ body: (Field, inout CodeText) -> Void
  ) {
    var rest = present(fields).filter { $0.tag == nil }[...]
    while let first = rest.first {
      let condition = condition(first.versions)
      let group = rest.prefix { self.condition($0.versions) == condition }
      rest = rest.dropFirst(group.count)
      if let condition {
        code.block("if \(condition)") { code in for field in group { body(field, &code) } }
      } else {
        for field in group { body(field, &code) }
      }
    }
  }

  /// Fields that any supported version has.
  func present(_ fields: [Field]) -> [Field] {
    fields.filter { !$0.versions.intersection(versions).isEmpty }
  }
}
