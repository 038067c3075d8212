/// A Java properties file: what `server.properties` and `zoo.cfg` are written in.
///
/// The rules are those of `java.util.Properties`: bytes are Latin-1; a line ends with LF, CR or
/// both; `#` or `!` first makes a comment; a backslash before the line's end joins the next line to
/// it without that line's indentation; a key ends at the first unescaped `=`, `:` or blank; `\t`,
/// `\n`, `\r`, `\f` and `\uXXXX` are escapes, and a backslash before anything else disappears. A
/// key given twice has its last value. Trailing blanks belong to the value.
public struct Properties: Sendable {
  public struct Entry: Hashable, Sendable {
    public var key: String
    public var value: String
    /// The file's line, counted from 1, on which the entry starts.
    public var line: Int
  }

  /// The file's name as it was given, for messages.
  public let file: String
  /// In the order of the file, repeated keys included.
  public private(set) var entries: [Entry] = []
  private var last: [String: Int] = [:]

  /// An empty set of properties.
  public init(file: String = "") { self.file = file }

  /// Parses the bytes of a file.
  /// - Throws: `SettingsError` with file and line, for a malformed `\uXXXX`.
  public init(parsing bytes: some Sequence<UInt8>, file: String) throws(SettingsError) {
    self.file = file
    var lines = LogicalLines(bytes: Array(bytes))
    while let logical = lines.next() {
      let entry = try Self.entry(logical.text, line: logical.line, file: file)
      last[entry.key] = entries.count
      entries.append(entry)
    }
  }

  /// Parses text; for tests and for files that are made here.
  public init(parsing text: String, file: String) throws(SettingsError) {
    // Latin-1 is what the format is in; anything beyond it has to come as `\uXXXX`.
    let bytes = text.unicodeScalars.map { UInt8(exactly: $0.value) ?? UInt8(ascii: "?") }
    try self.init(parsing: bytes, file: file)
  }

  /// The last value given for `key`.
  public subscript(key: String) -> String? { last[key].map { entries[$0].value } }

  /// Where the value that counts was given.
  public func origin(of key: String) -> SettingOrigin? {
    last[key].map { .file(file, line: entries[$0].line) }
  }

  /// Every key once, in the order of first mention, with the entry that counts.
  public var effectiveEntries: [Entry] {
    var seen = Set<String>()
    return entries.compactMap { entry in
      seen.insert(entry.key).inserted ? last[entry.key].map { entries[$0] } : nil
    }
  }

  // MARK: One logical line

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == 0x0c
  }

  private static func entry(
    _ text: [UInt8], line: Int, file: String
  ) throws(SettingsError) -> Entry {
    var end = 0
    while end < text.count {
      let byte = text[end]
      if byte == UInt8(ascii: "\\") {
        end += 2
        continue
      }
      if byte == UInt8(ascii: "=") || byte == UInt8(ascii: ":") || isBlank(byte) { break }
      end += 1
    }
    end = min(end, text.count)
    // Blanks, then at most one separator, then blanks.
    var start = end
    while start < text.count, isBlank(text[start]) { start += 1 }
    if start < text.count, text[start] == UInt8(ascii: "=") || text[start] == UInt8(ascii: ":") {
      start += 1
      while start < text.count, isBlank(text[start]) { start += 1 }
    }
    guard let key = unescape(text[..<end]), let value = unescape(text[start...]) else {
      throw SettingsError(
        "malformed \\uXXXX escape", origin: .file(file, line: line))
    }
    return Entry(key: key, value: value, line: line)
  }

  /// Resolves escapes; nil for `\u` without four hexadecimal digits.
  private static func unescape(_ bytes: ArraySlice<UInt8>) -> String? {
    var units: [UInt16] = []
    units.reserveCapacity(bytes.count)
    var index = bytes.startIndex
    while index < bytes.endIndex {
      let byte = bytes[index]
      index += 1
      guard byte == UInt8(ascii: "\\") else {
        units.append(UInt16(byte))
        continue
      }
      guard index < bytes.endIndex else { break }
      let escaped = bytes[index]
      index += 1
      switch escaped {
      case UInt8(ascii: "t"): units.append(0x09)
      case UInt8(ascii: "n"): units.append(0x0a)
      case UInt8(ascii: "r"): units.append(0x0d)
      case UInt8(ascii: "f"): units.append(0x0c)
      case UInt8(ascii: "u"):
        guard bytes.endIndex - index >= 4 else { return nil }
        var unit: UInt16 = 0
        for digit in bytes[index..<(index + 4)] {
          guard let value = Character(UnicodeScalar(digit)).hexDigitValue else { return nil }
          unit = unit << 4 | UInt16(value)
        }
        units.append(unit)
        index += 4
      default: units.append(UInt16(escaped))
      }
    }
    return String(decoding: units, as: UTF16.self)
  }
}

/// Joins a file's natural lines into logical ones and drops comments and empty lines.
private struct LogicalLines {
  let bytes: [UInt8]
  var index = 0
  var naturalLine = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  /// The next natural line without its terminator; nil at the end.
  private mutating func natural() -> ArraySlice<UInt8>? {
    guard index < bytes.count else { return nil }
    let start = index
    while index < bytes.count, bytes[index] != 0x0a, bytes[index] != 0x0d { index += 1 }
    let line = bytes[start..<index]
    if index < bytes.count {
      let isCarriageReturn = bytes[index] == 0x0d
      index += 1
      if isCarriageReturn, index < bytes.count, bytes[index] == 0x0a { index += 1 }
    }
    naturalLine += 1
    return line
  }

  private static func trimmedFront(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    line.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == 0x0c }
  }

  /// A line goes on when the backslashes at its end are odd in number: pairs are escaped ones.
  private static func goesOn(_ line: ArraySlice<UInt8>) -> Bool {
    line.reversed().prefix { $0 == UInt8(ascii: "\\") }.count % 2 == 1
  }

  mutating func next() -> (text: [UInt8], line: Int)? {
    while let first = natural() {
      let start = Self.trimmedFront(first)
      guard let mark = start.first, mark != UInt8(ascii: "#"), mark != UInt8(ascii: "!") else {
        continue
      }
      let line = naturalLine
      var text = Array(start)
      var last = start
      while Self.goesOn(last) {
        text.removeLast()
        guard let more = natural() else { break }
        last = Self.trimmedFront(more)
        text += last
      }
      if !text.isEmpty { return (text, line) }
    }
    return nil
  }
}
