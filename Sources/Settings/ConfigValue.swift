/// A setting's type, numbered as DescribeConfigs numbers them (KIP-569).
public enum ConfigType: Int8, Sendable {
  case unknown = 0
  case boolean = 1
  case string = 2
  case int = 3
  case short = 4
  case long = 5
  case double = 6
  case list = 7
  case classname = 8
  case password = 9
}

/// A setting's value once its text has been understood.
public enum ConfigValue: Hashable, Sendable, CustomStringConvertible {
  case null
  case boolean(Bool)
  case integer(Int64)
  case double(Double)
  case text(String)
  case list([String])

  /// Understands `text` as `type`; nil when it is not one. Blanks around it do not count.
  public init?(parsing text: String, as type: ConfigType) {
    let text = text.trimmed
    switch type {
    case .boolean:
      switch text.lowercased() {
      case "true": self = .boolean(true)
      case "false": self = .boolean(false)
      default: return nil
      }
    case .int, .short, .long:
      guard let value = Int64(text) else { return nil }
      switch type {
      case .int where Int32(exactly: value) == nil: return nil
      case .short where Int16(exactly: value) == nil: return nil
      default: self = .integer(value)
      }
    case .double:
      guard let value = Double(text), !value.isNaN else { return nil }
      self = .double(value)
    case .list: self = .list(text.commaSeparated)
    case .string, .classname, .password, .unknown: self = .text(text)
    }
  }

  /// The value as Kafka prints it.
  public var description: String {
    switch self {
    case .null: "null"
    case .boolean(let value): value ? "true" : "false"
    case .integer(let value): String(value)
    case .double(let value): Self.javaText(of: value)
    case .text(let value): value
    case .list(let values): values.joined(separator: ",")
    }
  }

  /// The text for a wire field that may be null.
  public var nullableText: String? {
    if case .null = self { return nil }
    return description
  }

  /// A floating-point number as Java prints it: an exponent below 0.001 and from ten million on.
  static func javaText(of value: Double) -> String {
    let text = value.description
    guard let mark = text.firstIndex(of: "e") else {
      if value.magnitude >= 1e7, value.isFinite { return shifted(text) }
      return text
    }
    var mantissa = String(text[..<mark])
    if !mantissa.contains(".") { mantissa += ".0" }
    guard let exponent = Int(text[text.index(after: mark)...]) else { return text }
    return "\(mantissa)E\(exponent)"
  }

  /// `12345678.5` as `1.23456785E7`.
  private static func shifted(_ text: String) -> String {
    let isNegative = text.hasPrefix("-")
    let parts = text.drop { $0 == "-" }.split(separator: ".")
    guard let whole = parts.first, whole.count > 1 else { return text }
    let fraction = parts.count > 1 ? parts[1] : ""
    var digits = Substring(whole + fraction)
    while digits.count > 2, digits.hasSuffix("0") { digits.removeLast() }
    let first = digits.removeFirst()
    return (isNegative ? "-" : "") + "\(first).\(digits)E\(whole.count - 1)"
  }
}

/// Which values of its type a key accepts.
public enum ConfigValidity: Sendable {
  case anything
  /// Numbers from and to, either end open.
  case range(Double?, Double?)
  /// -1, or a number in the range.
  case minusOneOr(Double, Double?)
  /// One of these words; for lists, each element.
  case oneOf([String])
  case nonEmpty
  /// A version of Kafka, such as `3.9` or `3.9-IV0`.
  case version
  /// `partition:broker` pairs, or `*`.
  case throttledReplicas

  public func accepts(_ value: ConfigValue) -> Bool { complaint(about: value) == nil }

  /// What is wrong with `value`; nil when nothing is.
  func complaint(about value: ConfigValue) -> String? {
    switch (self, value) {
    case (_, .null), (.anything, _): return nil
    case (.range(let low, let high), .integer(let number)):
      return Self.complaint(Double(number), low, high)
    case (.range(let low, let high), .double(let number)):
      return Self.complaint(number, low, high)
    case (.minusOneOr(let low, let high), .integer(let number)):
      if number == -1 { return nil }
      return Self.complaint(Double(number), low, high).map { "must be -1, or \($0)" }
    case (.oneOf(let words), .text(let word)):
      return words.contains { $0.lowercased() == word.lowercased() }
        ? nil : "must be one of \(words.joined(separator: ", "))"
    case (.oneOf(let words), .list(let given)):
      return given.allSatisfy { words.contains($0.lowercased()) }
        ? nil : "each must be one of \(words.joined(separator: ", "))"
    case (.nonEmpty, .text(let text)): return text.isEmpty ? "must not be empty" : nil
    case (.nonEmpty, .list(let list)): return list.isEmpty ? "must not be empty" : nil
    case (.version, .text(let text)):
      return MetadataVersion(text) == nil ? "not a version of Kafka up to 3.9" : nil
    case (.throttledReplicas, .list(let replicas)):
      return Self.areThrottledReplicas(replicas)
        ? nil : "must be *, or partition:broker pairs separated by commas"
    default: return nil
    }
  }

  private static func complaint(_ number: Double, _ low: Double?, _ high: Double?) -> String? {
    if let low, number < low { return "must be at least \(whole(low))" }
    if let high, number > high { return "must be at most \(whole(high))" }
    return nil
  }

  private static func whole(_ number: Double) -> String {
    Int64(exactly: number).map(String.init) ?? "\(number)"
  }

  private static func areThrottledReplicas(_ replicas: [String]) -> Bool {
    if replicas == ["*"] || replicas.isEmpty { return true }
    return replicas.allSatisfy { pair in
      let parts = pair.split(separator: ":", omittingEmptySubsequences: false)
      return parts.count == 2 && parts.allSatisfy { Int32($0) != nil }
    }
  }
}
