// What the schema files say, as values: messages, their structs and fields, and the versions at
// which each of them exists.

/// An inclusive range of message versions; open-ended ranges reach to `Int16.max`.
struct Versions: Equatable {
  var first: Int16
  var last: Int16

  static let all = Versions(first: 0, last: .max)
  static let none = Versions(first: .max, last: .min)

  var isEmpty: Bool { first > last }

  func covers(_ other: Versions) -> Bool {
    other.isEmpty || (first <= other.first && last >= other.last)
  }

  func intersection(_ other: Versions) -> Versions {
    let common = Versions(first: max(first, other.first), last: min(last, other.last))
    return common.isEmpty ? .none : common
  }

  func contains(_ version: Int16) -> Bool { first <= version && version <= last }
}

indirect enum FieldType: Equatable {
  case bool, int8, int16, uint16, int32, int64, float64, uuid
  case string, bytes, records
  case structure(String)
  case array(FieldType)

  /// The structure's name, of a structure or of an array of them.
  var structureName: String? {
    switch self {
    case .structure(let name): name
    case .array(let element): element.structureName
    default: nil
    }
  }

  /// Bytes of a value whose size does not depend on it; nil for everything else.
  var fixedSize: Int? {
    switch self {
    case .bool, .int8: 1
    case .int16, .uint16: 2
    case .int32: 4
    case .int64, .float64: 8
    case .uuid: 16
    default: nil
    }
  }
}

struct Field {
  var name: String
  var type: FieldType
  var versions: Versions
  /// Where null may stand for the value.
  var nullable: Versions = .none
  /// The tag, when the field is written among the tagged fields of flexible versions (KIP-482).
  var tag: Int?
  /// As it stands in the file; nil for the type's zero.
  var defaultText: String?
  var isKey = false
  var isIgnorable = false
  /// Never in compact form, not even in a flexible version: the client id in a request header.
  var isRigid = false
  /// What the value names (`topicName`, `brokerId`); informative.
  var entity: String?
  /// The fields written below an inline structure.
  var fields: [Field] = []
}

struct Structure {
  var name: String
  var fields: [Field]
}

enum MessageKind: String {
  case request, response, metadata, remote, data, header
}

struct Message {
  var kind: MessageKind
  /// The Swift type's name: `FetchRequest`, `TopicRecord`.
  var name: String
  /// API key of requests and responses, record type of metadata records.
  var key: Int16?
  var versions: Versions
  var flexible: Versions = .none
  var deprecated: Versions = .none
  var latestIsUnstable = false
  var fields: [Field] = []
  /// Structures declared by name, which several fields use.
  var common: [Structure] = []

  /// Every structure, in order of appearance; names are unique within a message.
  var structures: [Structure] {
    var found: [Structure] = []
    func collect(_ fields: [Field]) {
      for field in fields where !field.fields.isEmpty {
        if let name = field.type.structureName {
          found.append(Structure(name: name, fields: field.fields))
        }
        collect(field.fields)
      }
    }
    collect(fields)
    for structure in common {
      found.append(structure)
      collect(structure.fields)
    }
    return found
  }

  func structure(_ name: String) -> Structure? { structures.first { $0.name == name } }
}

/// One file: an API with its request and response, or a few related records.
struct SchemaFile {
  /// The file's name without folder and suffix.
  var name: String
  /// `Fetch`; nil for records.
  var apiName: String?
  var apiKey: Int16?
  var listeners: [String] = []
  var messages: [Message] = []
}

struct SchemaError: Error, CustomStringConvertible {
  var file: String
  var line: Int
  var message: String
  var description: String { "\(file):\(line): \(message)" }
}
