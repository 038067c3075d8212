// A second, independent reader of the schema notation: it knows nothing of schemac, and writes
// random valid bytes of any version of any message straight from the schema files.

import Foundation
import TestKit
import Values

/// A field of the notation with what is below it.
final class SchemaNode {
  let name: String
  let type: Substring
  let versions: ClosedRange<Int>
  var nullable: ClosedRange<Int>?
  var tag: Int?
  var defaultText: Substring?
  var isRigid = false
  var children: [SchemaNode] = []

  init(name: String, type: Substring, versions: ClosedRange<Int>) {
    self.name = name
    self.type = type
    self.versions = versions
  }
}

struct SchemaMessage {
  var name: String
  var versions: ClosedRange<Int>
  var firstFlexible = Int.max
  var fields: [SchemaNode] = []
  var named: [String: SchemaNode] = [:]

  func isFlexible(_ version: Int) -> Bool { version >= firstFlexible }
}

enum SchemaNotation {
  /// Every message of the schema files below a folder, in order of path.
  static func messages(in folder: String) throws -> [SchemaMessage] {
    let root = Fixtures.checkout.appending(path: "Sources/KafkaProtocol/Schemas/\(folder)")
    let paths = try FileManager.default.subpathsOfDirectory(atPath: root.path).sorted()
    return try paths.filter { $0.hasSuffix(".kafka") }.flatMap { path in
      read(String(decoding: try Data(contentsOf: root.appending(path: path)), as: UTF8.self))
    }
  }

  static func range(_ text: Substring) -> ClosedRange<Int> {
    if text.hasSuffix("+") { return Int(text.dropLast())!...99 }
    let ends = text.split(separator: "-").map { Int($0)! }
    return ends.first!...ends.last!
  }

  static func read(_ text: String) -> [SchemaMessage] {
    var messages: [SchemaMessage] = []
    var api = ""
    var stack: [SchemaNode] = []
    for line in text.split(separator: "\n") {
      let words = line.prefix { $0 != "#" }.split(separator: " ")
      guard let first = words.first, first != "listeners" else { continue }
      let depth = line.prefix { $0 == " " }.count / 2
      if first == "api" {
        api = String(words[2])
      } else if depth == 0 {
        stack = []
        messages.append(heading(words, api: api))
      } else if first == "struct" {
        let node = SchemaNode(name: String(words[1]), type: words[1], versions: range(words[2]))
        messages[messages.count - 1].named[node.name] = node
        stack = [node]
      } else {
        let node = field(words)
        stack.removeLast(stack.count - (depth - 1))
        if let parent = stack.last {
          parent.children.append(node)
        } else {
          messages[messages.count - 1].fields.append(node)
        }
        stack.append(node)
      }
    }
    return messages
  }

  private static func heading(_ words: [Substring], api: String) -> SchemaMessage {
    var rest = words.dropFirst()
    var name = api + (words[0] == "request" ? "Request" : "Response")
    if words[0] == "metadata" || words[0] == "remote" { rest = rest.dropFirst() }
    if words[0] != "request", words[0] != "response" { name = String(rest.removeFirst()) }
    var message = SchemaMessage(name: name, versions: range(rest.removeFirst()))
    if let place = rest.firstIndex(of: "flexible") {
      message.firstFlexible = range(rest[place + 1]).lowerBound
    }
    return message
  }

  private static func field(_ words: [Substring]) -> SchemaNode {
    let parts = words[1].split(separator: "?", omittingEmptySubsequences: false)
    let node = SchemaNode(name: String(words[0]), type: parts[0], versions: range(words[2]))
    if parts.count > 1 { node.nullable = parts[1].isEmpty ? node.versions : range(parts[1]) }
    if let place = words.firstIndex(of: "tag") { node.tag = Int(words[place + 1]) }
    if let place = words.firstIndex(of: "default") { node.defaultText = words[place + 1] }
    node.isRigid = words.contains("rigid")
    return node
  }
}

/// Writes one random message.
struct RandomMessage {
  let message: SchemaMessage
  let version: Int
  var random: SplitMix
  var bytes: [UInt8] = []
  var isFlexible: Bool { message.isFlexible(version) }

  static func bytes(of message: SchemaMessage, version: Int, seed: UInt64) -> [UInt8] {
    var writer = RandomMessage(message: message, version: version, random: SplitMix(seed: seed))
    writer.structure(message.fields, distinct: false)
    return writer.bytes
  }

  /// - Parameter distinct: every value differs from its default, as a tagged struct needs.
  private mutating func structure(_ fields: [SchemaNode], distinct: Bool) {
    let present = fields.filter { $0.versions.contains(version) }
    for field in present where field.tag == nil {
      value(field, type: field.type, compact: isFlexible && !field.isRigid, distinct: distinct)
    }
    guard isFlexible else { return }
    let tagged = present.filter { $0.tag != nil && Bool.random(using: &random) }
      .sorted { $0.tag! < $1.tag! }
    varint(tagged.count)
    for field in tagged {
      varint(field.tag!)
      var inner = self
      inner.bytes = []
      inner.value(field, type: field.type, compact: true, distinct: true)
      random = inner.random
      varint(inner.bytes.count)
      bytes += inner.bytes
    }
  }

  private mutating func varint(_ value: Int) {
    var rest = value
    while rest > 127 {
      bytes.append(UInt8(rest & 127) | 128)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func length(_ length: Int?, compact: Bool, plainBytes: Int) {
    if compact { return varint(length.map { $0 + 1 } ?? 0) }
    integer(UInt64(bitPattern: Int64(length ?? -1)), plainBytes)
  }

  private mutating func integer(_ value: UInt64, _ size: Int) {
    for index in (0..<size).reversed() {
      bytes.append(UInt8(truncatingIfNeeded: value >> (index * 8)))
    }
  }

  private mutating func value(
    _ field: SchemaNode, type: Substring, compact: Bool, distinct: Bool
  ) {
    let mayBeNull = field.nullable?.contains(version) ?? false
    let isNull =
      mayBeNull && type == field.type && !(distinct && field.defaultText == "null")
      && Int.random(in: 0..<4, using: &random) == 0
    let least = distinct ? 1 : 0
    switch type {
    case "bool":
      bytes.append(
        distinct ? (field.defaultText == "true" ? 0 : 1) : UInt8.random(in: 0...1, using: &random))
    case "int8": number(field, 1, distinct)
    case "int16", "uint16": number(field, 2, distinct)
    case "int32": number(field, 4, distinct)
    case "int64", "float64": number(field, 8, distinct)
    case "uuid": for _ in 0..<2 { integer(random.next(), 8) }
    case "string":
      let letters = ["a", "Z", "-", "é", "語", "🪶"]
      let count = Int.random(in: least...6, using: &random)
      let text = Array(
        (0..<count).map { _ in letters.randomElement(using: &random)! }.joined().utf8)
      length(isNull ? nil : text.count, compact: compact, plainBytes: 2)
      if !isNull { bytes += text }
    case "bytes", "records":
      let count = Int.random(in: least...200, using: &random)
      length(isNull ? nil : count, compact: compact, plainBytes: 4)
      if !isNull { for _ in 0..<count { bytes.append(UInt8.random(in: 0...255, using: &random)) } }
    case _ where type.hasPrefix("[]"):
      let count = Int.random(in: least...3, using: &random)
      length(isNull ? nil : count, compact: compact, plainBytes: 4)
      if isNull { return }
      for _ in 0..<count {
        value(field, type: type.dropFirst(2), compact: compact, distinct: distinct)
      }
    default:
      if mayBeNull, type == field.type {
        bytes.append(isNull ? 0xff : 1)
        if isNull { return }
      }
      let children = message.named[String(type)]?.children ?? field.children
      structure(children, distinct: distinct)
    }
  }

  private mutating func number(_ field: SchemaNode, _ size: Int, _ distinct: Bool) {
    // Positive and small enough for any width; no schema has such a default.
    integer(distinct ? UInt64.random(in: 70...120, using: &random) : random.next(), size)
  }
}
