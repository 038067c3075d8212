// The generated `write(to:version:)`. It never throws: what a version cannot express is left out,
// and a null that a version cannot express is written as the empty value.

extension MessageEmitter {
  func writer(_ fields: [Field], into code: inout CodeText) {
    code.block("public func write(to writer: inout ByteWriter, version: Int16)") { code in
      declareFlexible(into: &code)
      emitUntagged(fields, into: &code) { field, code in writeStatements(field, into: &code) }
      if isEverFlexible { writeTags(present(fields).filter { $0.tag != nil }, into: &code) }
    }
  }

  private func writeStatements(
    _ field: Field, into code: inout CodeText, writer: String = "writer", compact: String? = nil
  ) {
    let name = SwiftNames.member(field.name)
    let compact = compact ?? self.compact(field)
    let within = field.nullable.intersection(field.versions).intersection(versions)
    let isNullable = !within.isEmpty
    // Where null is allowed in a part of the versions, the others get the empty value.
    let partly = isNullable && !within.covers(field.versions.intersection(versions))
    let nullAllowed = partly ? condition(within) : nil
    switch field.type {
    case .bool, .int8, .int16, .uint16, .int32, .int64, .float64, .uuid:
      code.line("\(writer).write\(SwiftNames.primitive(field.type))(\(name))")
    case .structure:
      guard isNullable else {
        code.line("\(name).write(to: &\(writer), version: version)")
        return
      }
      code.line("\(writer).writePresence(\(name) != nil)")
      code.line("\(name)?.write(to: &\(writer), version: version)")
    case .array(.structure(let type)):
      let items = isNullable ? "\(name) ?? []" : name
      if isNullable {
        let count =
          nullAllowed.map { "(\($0)) ? \(name)?.count : \(name)?.count ?? 0" } ?? "\(name)?.count"
        code.line("\(writer).writeNullableCount(\(count), compact: \(compact))")
      } else {
        code.line("\(writer).writeCount(\(name).count, compact: \(compact))")
      }
      code.block("for item: \(type) in \(items)") { code in
        code.line("item.write(to: &\(writer), version: version)")
      }
    case .records:
      code.line("\(writer).writeRecords(\(name), compact: \(compact))")
    case .string, .bytes, .array:
      let prefix = isNullable ? "Nullable" : ""
      let empty = field.type == .string ? "\"\"" : "[]"
      let value = nullAllowed.map { "(\($0)) ? \(name) : (\(name) ?? \(empty))" } ?? name
      code.line(
        "\(writer).write\(prefix)\(SwiftNames.primitive(field.type))(\(value), compact: \(compact))"
      )
    }
  }

  private func writeTags(_ fields: [Field], into code: inout CodeText) {
    if fields.isEmpty {
      code.line(isAlwaysFlexible ? "writer.writeUInt8(0)" : "if flexible { writer.writeUInt8(0) }")
      return
    }
    code.block(isAlwaysFlexible ? "do" : "if flexible") { code in
      code.line("var tagged: UInt32 = 0")
      for field in fields { code.line("if \(isWritten(field)) { tagged += 1 }") }
      code.line("writer.writeUnsignedVarint(tagged)")
      for field in fields.sorted(by: { ($0.tag ?? 0) < ($1.tag ?? 0) }) {
        code.block("if \(isWritten(field))") { code in writeTag(field, into: &code) }
      }
    }
  }

  /// Tagged fields are written when the version has them and they differ from their default.
  private func isWritten(_ field: Field) -> String {
    let differs = differsFromDefault(field)
    let flexible = message.flexible.intersection(versions)
    if field.versions.covers(flexible) { return differs }
    return condition(field.versions).map { "\($0) && \(differs)" } ?? differs
  }

  /// A tagged value is preceded by its size, so anything of varying size is written aside first.
  private func writeTag(_ field: Field, into code: inout CodeText) {
    code.line("writer.writeUnsignedVarint(\(field.tag ?? 0))")
    if let size = field.type.fixedSize {
      code.line("writer.writeUnsignedVarint(\(size))")
      writeStatements(field, into: &code, compact: "true")
    } else {
      code.line("var part: ByteWriter = ByteWriter()")
      writeStatements(field, into: &code, writer: "part", compact: "true")
      code.line("writer.writeUnsignedVarint(UInt32(part.count))")
      code.line("writer.writeBytes(part.span)")
    }
  }
}
