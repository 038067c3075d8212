/// Why text is not JSON, and where.
// Reading JSON. Znodes are written by whoever may write them, so nothing in the text is trusted:
// not its depth, not its escapes, not its UTF-8.
public struct JSONError: Error, Equatable, Sendable {
  public var position: Int
}

extension JSON {
  /// Deeper nesting is refused: znodes need four levels, and recursion must end somewhere.
  private static let maximumDepth = 64

  /// Reads one value and nothing after it.
  public init(parsing bytes: [UInt8]) throws(JSONError) {
    var parser = Parser(bytes: bytes)
    self = try parser.value(depth: 0)
    parser.skipSpace()
    guard parser.position == bytes.count else { throw parser.error }
  }

  private struct Parser {
    let bytes: [UInt8]
    var position = 0

    var error: JSONError { JSONError(position: position) }
    var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipSpace() {
      while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
        position += 1
      }
    }

    mutating func take(_ expected: Character) throws(JSONError) {
      guard let byte = expected.asciiValue, next == byte else { throw error }
      position += 1
    }

    mutating func skip(_ word: String) throws(JSONError) {
      for byte in word.utf8 {
        guard next == byte else { throw error }
        position += 1
      }
    }

    mutating func value(depth: Int) throws(JSONError) -> JSON {
      guard depth < JSON.maximumDepth else { throw error }
      skipSpace()
      switch next {
      case UInt8(ascii: "{"): return try object(depth: depth)
      case UInt8(ascii: "["): return try array(depth: depth)
      case UInt8(ascii: "\""): return .string(try string())
      case UInt8(ascii: "t"):
        try skip("true")
        return .bool(true)
      case UInt8(ascii: "f"):
        try skip("false")
        return .bool(false)
      case UInt8(ascii: "n"):
        try skip("null")
        return .null
      default: return try number()
      }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSON {
      try take("{")
      var fields: [Field] = []
      skipSpace()
      if next == UInt8(ascii: "}") {
        position += 1
        return .object([])
      }
      while true {
        skipSpace()
        let name = try string()
        skipSpace()
        try take(":")
        fields.append(Field(name, try value(depth: depth + 1)))
        skipSpace()
        if next == UInt8(ascii: ",") {
          position += 1
          continue
        }
        try take("}")
        return .object(fields)
      }
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSON {
      try take("[")
      var elements: [JSON] = []
      skipSpace()
      if next == UInt8(ascii: "]") {
        position += 1
        return .array([])
      }
      while true {
        elements.append(try value(depth: depth + 1))
        skipSpace()
        if next == UInt8(ascii: ",") {
          position += 1
          continue
        }
        try take("]")
        return .array(elements)
      }
    }

    private mutating func number() throws(JSONError) -> JSON {
      let start = position
      var isInteger = true
      while let byte = next {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): break
        case UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
          isInteger = false
        default:
          return try finish(start, isInteger)
        }
        position += 1
      }
      return try finish(start, isInteger)
    }

    // A number that is no int64 is kept as text: nobody here computes with it.
    private func finish(_ start: Int, _ isInteger: Bool) throws(JSONError) -> JSON {
      let text = String(decoding: bytes[start..<position], as: UTF8.self)
      if isInteger, let value = Int64(text) { return .integer(value) }
      guard Double(text) != nil else { throw JSONError(position: start) }
      return .number(text)
    }

    private mutating func string() throws(JSONError) -> String {
      try take("\"")
      var text: [UInt8] = []
      while let byte = next {
        position += 1
        switch byte {
        case UInt8(ascii: "\""):
          guard let valid = String(validating: text, as: UTF8.self) else { throw error }
          return valid
        case UInt8(ascii: "\\"): try escape(into: &text)
        case 0..<0x20: throw error
        default: text.append(byte)
        }
      }
      throw error
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
      guard let byte = next else { throw error }
      position += 1
      switch byte {
      case UInt8(ascii: "b"): text.append(0x08)
      case UInt8(ascii: "t"): text.append(0x09)
      case UInt8(ascii: "n"): text.append(0x0a)
      case UInt8(ascii: "f"): text.append(0x0c)
      case UInt8(ascii: "r"): text.append(0x0d)
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
      case UInt8(ascii: "u"):
        var scalar = UInt32(try hex4())
        if scalar >= 0xd800, scalar < 0xdc00 {
          // A character outside the basic plane is written as a pair of surrogates.
          try skip("\\u")
          let low = UInt32(try hex4())
          guard low >= 0xdc00, low < 0xe000 else { throw error }
          scalar = 0x10000 + (scalar - 0xd800) << 10 + (low - 0xdc00)
        }
        guard let character = Unicode.Scalar(scalar) else { throw error }
        text += String(Character(character)).utf8
      default: throw error
      }
    }

    private mutating func hex4() throws(JSONError) -> UInt16 {
      var value: UInt16 = 0
      for _ in 0..<4 {
        guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
          throw error
        }
        value = value << 4 | UInt16(digit)
        position += 1
      }
      return value
    }
  }
}
