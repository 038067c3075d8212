// The generated `init(from:version:)`.

extension MessageEmitter {
  func reader(_ fields: [Field], isMessage: Bool, into code: inout CodeText) {
    let head = "public init(from reader: inout ByteReader, version: Int16) throws(ByteError)"
    code.block(head) { code in
      if isMessage {
        code.line("guard Self.validVersions.contains(version) else {")
        code.line("  throw .invalidValue(Int64(version))")
        code.line("}")
      }
      declareFlexible(into: &code)
      emitUntagged(fields, into: &code) { field, code in readStatements(field, into: &code) }
      if isEverFlexible { readTags(present(fields).filter { $0.tag != nil }, into: &code) }
    }
  }

  /// `let flexible` where the answer depends on the version; only structs that need it get it.
  func declareFlexible(into code: inout CodeText) {
    guard isEverFlexible, !isAlwaysFlexible else { return }
    code.line("let flexible: Bool = version >= \(message.flexible.first)")
  }

  private func readStatements(_ field: Field, into code: inout CodeText, compact: String? = nil) {
    let name = SwiftNames.member(field.name)
    let compact = compact ?? self.compact(field)
    let nullable = field.nullable.intersection(field.versions).intersection(versions)
    switch field.type {
    case .bool, .int8, .int16, .uint16, .int32, .int64, .float64, .uuid:
      code.line("\(name) = try reader.read\(SwiftNames.primitive(field.type))()")
      return
    case .structure(let type):
      let value = "try \(type)(from: &reader, version: version)"
      if nullable.isEmpty {
        code.line("\(name) = \(value)")
      } else {
        code.line("\(name) = nil")
        code.block("if try reader.readPresence()") { code in code.line("\(name) = \(value)") }
      }
    case .array(.structure(let type)):
      readStructures(name, type, isNullable: !nullable.isEmpty, compact: compact, into: &code)
    case .string, .bytes, .records, .array:
      let prefix = nullable.isEmpty ? "" : "Nullable"
      code.line(
        "\(name) = try reader.read\(prefix)\(SwiftNames.primitive(field.type))(compact: \(compact))"
      )
    }
    // Null is allowed in a part of the versions only.
    if !nullable.isEmpty, let allowed = condition(nullable),
      !nullable.covers(field.versions.intersection(versions))
    {
      code.line("if \(name) == nil, !(\(allowed)) { throw .unexpectedNull }")
    }
  }

  private func readStructures(
    _ name: String, _ type: String, isNullable: Bool, compact: String, into code: inout CodeText
  ) {
    let least = minimumSize(type)
    let read = isNullable ? "readNullableCount" : "readCount"
    code.block("do") { code in
      code.line(
        "let count: Int = try reader.\(read)(compact: \(compact), atLeast: \(least))")
      code.line("var items: [\(type)] = []")
      let some = isNullable ? "max(count, 0)" : "count"
      code.line("items.reserveCapacity(min(\(some), 1024))")
      code.block("for _ in 0..<\(some)") { code in
        code.line("items.append(try \(type)(from: &reader, version: version))")
      }
      code.line(isNullable ? "\(name) = count < 0 ? nil : items" : "\(name) = items")
    }
  }

  private func readTags(_ fields: [Field], into code: inout CodeText) {
    if fields.isEmpty {
      code.line(
        isAlwaysFlexible
          ? "try reader.skipTaggedFields()" : "if flexible { try reader.skipTaggedFields() }")
      return
    }
    code.block(isAlwaysFlexible ? "do" : "if flexible") { code in
      code.line("var left: UInt32 = try reader.readUnsignedVarint()")
      code.block("while left > 0") { code in
        code.line("left -= 1")
        code.line("let tag: UInt32 = try reader.readUnsignedVarint()")
        code.line("let end: Int = try reader.readTaggedEnd()")
        code.line("switch tag {")
        for field in fields {
          let flexibleVersions = message.flexible.intersection(versions)
          let always = field.versions.covers(flexibleVersions)
          let condition = always ? "" : condition(field.versions).map { " where \($0)" } ?? ""
          code.line("case \(field.tag ?? 0)\(condition):")
          code.indented { code in readStatements(field, into: &code, compact: "true") }
        }
        code.line("default: reader.position = end")
        code.line("}")
        code.line("try reader.expectPosition(end)")
      }
    }
  }

  // MARK: Smallest sizes

  /// The fewest bytes that one element of a struct can take in any version: what a count is checked
  /// against before anything is reserved.
  private func minimumSize(_ structure: String) -> Int {
    guard let structure = message.structure(structure) else { return 1 }
    let scope = scope(of: structure.name)
    let sizes = (scope.first...scope.last).map { version in
      minimumSize(structure.fields, version: version)
    }
    return max(sizes.min() ?? 1, 1)
  }

  private func minimumSize(_ fields: [Field], version: Int16) -> Int {
    let flexible = message.flexible.contains(version)
    var size = flexible ? 1 : 0
    for field in fields where field.versions.contains(version) && field.tag == nil {
      if let fixed = field.type.fixedSize {
        size += fixed
      } else if case .structure(let name) = field.type {
        let isNullable = field.nullable.contains(version)
        size +=
          isNullable ? 1 : minimumSize(message.structure(name)?.fields ?? [], version: version)
      } else if flexible && !field.isRigid {
        size += 1
      } else {
        size += field.type == .string ? 2 : 4
      }
    }
    return size
  }
}
