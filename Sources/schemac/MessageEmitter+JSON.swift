// The generated `json(version:)` of stored records, for tools that print logs. Fields keep the
// names of the schema; what a version does not have is left out.

extension MessageEmitter {
  func shower(_ fields: [Field], into code: inout CodeText) {
    code.line("/// As Kafka's tools print it.")
    code.block("public func json(version: Int16) -> String") { code in
      guard !present(fields).isEmpty else { return code.line("JSONText.object([])") }
      code.line("var fields: [String] = []")
      for field in present(fields) { show(field, into: &code) }
      code.line("return JSONText.object(fields)")
    }
  }

  private func show(_ field: Field, into code: inout CodeText) {
    let statement = "fields.append(JSONText.field(\"\(jsonName(field))\", \(jsonValue(field))))"
    var conditions: [String] = []
    if let versions = condition(field.versions) { conditions.append(versions) }
    if field.tag != nil { conditions.append(differsFromDefault(field)) }
    guard !conditions.isEmpty else { return code.line(statement) }
    code.block("if \(conditions.joined(separator: ", "))") { code in code.line(statement) }
  }

  /// Kafka's converters change the first letter only.
  private func jsonName(_ field: Field) -> String {
    field.name.prefix(1).lowercased() + field.name.dropFirst()
  }

  private func jsonValue(_ field: Field) -> String {
    let name = field.name == "Fields" ? "self.fields" : SwiftNames.member(field.name)
    return field.type.structureName == nil
      ? "JSONText.value(\(name))" : "JSONText.show(\(name), version: version)"
  }
}
