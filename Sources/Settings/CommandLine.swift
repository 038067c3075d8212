/// One flag of a tool.
public struct Flag: Sendable {
  public enum Arity: Sendable {
    /// Present or not: `--list`.
    case none
    /// `--topic orders` or `--topic=orders`.
    case one
    /// `--state`, `--state stable` or `--state=stable`; empty when no value was given.
    case optional
  }

  /// With its dashes: `--bootstrap-server`.
  public var name: String
  /// Other spellings, such as `-h`.
  public var aliases: [String]
  public var arity: Arity
  /// What the value is, for the help text: `HOST:PORT,…`.
  public var placeholder: String
  public var help: String
  public var isRequired: Bool
  public var isRepeatable: Bool
  /// Shown in the help text and given by `value(_:)` when the flag is absent.
  public var defaultValue: String?
  /// Why the flag, which the tool of this name in Kafka has, is refused here; nil: it is not.
  public var refusal: String?

  /// A flag that takes a value.
  public static func value(
    _ name: String, _ placeholder: String, aliases: [String] = [], required: Bool = false,
    repeatable: Bool = false, default defaultValue: String? = nil, _ help: String
  ) -> Flag {
    Flag(
      name: name, aliases: aliases, arity: .one, placeholder: placeholder, help: help,
      isRequired: required, isRepeatable: repeatable, defaultValue: defaultValue)
  }

  /// A flag that may have a value.
  public static func optional(_ name: String, _ placeholder: String, _ help: String) -> Flag {
    Flag(
      name: name, aliases: [], arity: .optional, placeholder: placeholder, help: help,
      isRequired: false, isRepeatable: false, defaultValue: nil)
  }

  /// A flag of Kafka's tool that this one does not have: named, so that whoever gives it is told
  /// why instead of being told that there is no such flag.
  public static func refused(_ name: String, _ reason: String) -> Flag {
    Flag(
      name: name, aliases: [], arity: .none, placeholder: "", help: "Refused: \(reason).",
      isRequired: false, isRepeatable: false, defaultValue: nil, refusal: reason)
  }

  /// A flag that is present or not.
  public static func toggle(_ name: String, aliases: [String] = [], _ help: String) -> Flag {
    Flag(
      name: name, aliases: aliases, arity: .none, placeholder: "", help: help, isRequired: false,
      isRepeatable: false, defaultValue: nil)
  }
}

/// The flags of one tool, and how to read a command line with them.
///
/// Every command knows `--help` and `--version`; a line that has one of them is checked no further.
public struct CommandLineSyntax: Sendable {
  /// As typed: `jackdaw topics`.
  public var command: String
  /// One or two sentences for the top of the help text.
  public var summary: String
  public var flags: [Flag]
  /// Names of what comes without a flag, in order, such as `["server.properties"]`.
  public var operands: [String]
  /// Whether operands beyond the named ones are taken too.
  public var takesMoreOperands: Bool

  public init(
    command: String, summary: String, flags: [Flag], operands: [String] = [],
    takesMoreOperands: Bool = false
  ) {
    self.command = command
    self.summary = summary
    self.flags =
      flags + [
        .toggle("--help", aliases: ["-h"], "Print this text."),
        .toggle("--version", "Print the version."),
      ]
    self.operands = operands
    self.takesMoreOperands = takesMoreOperands
  }

  /// Reads arguments, without the command's own name.
  /// - Throws: `SettingsError` that names the flag.
  public func parse(_ arguments: [String]) throws(SettingsError) -> ParsedCommandLine {
    var parsed = ParsedCommandLine(defaults: defaults)
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--" {
        parsed.operands += rest
        break
      }
      guard argument.hasPrefix("-"), argument != "-" else {
        parsed.operands.append(argument)
        continue
      }
      let (flag, attached) = try flag(for: argument)
      if let reason = flag.refusal { throw SettingsError(reason, key: flag.name) }
      switch flag.arity {
      case .none:
        guard attached == nil else {
          throw SettingsError("takes no value", key: flag.name, value: attached)
        }
        parsed.values[flag.name, default: []].append("true")
      case .optional:
        var value = attached
        if value == nil, let next = rest.first, !next.hasPrefix("-") { value = rest.popFirst() }
        parsed.values[flag.name, default: []].append(value ?? "")
      case .one:
        guard let value = attached ?? rest.popFirst() else {
          throw SettingsError("needs a value (\(flag.placeholder))", key: flag.name)
        }
        if parsed.values[flag.name] != nil, !flag.isRepeatable {
          throw SettingsError("given more than once", key: flag.name, value: value)
        }
        parsed.values[flag.name, default: []].append(value)
      }
    }
    if !parsed.has("--help"), !parsed.has("--version") { try check(parsed) }
    return parsed
  }

  private var defaults: [String: String] {
    var defaults: [String: String] = [:]
    for flag in flags { defaults[flag.name] = flag.defaultValue }
    return defaults
  }

  /// Finds the flag of one argument, and the value attached to it with `=`.
  private func flag(for argument: String) throws(SettingsError) -> (Flag, String?) {
    var name = argument
    var attached: String?
    if let separator = argument.firstIndex(of: "=") {
      name = String(argument[..<separator])
      attached = String(argument[argument.index(after: separator)...])
    }
    guard let flag = flags.first(where: { $0.name == name || $0.aliases.contains(name) }) else {
      let near = flags.first { $0.name.hasPrefix(name) || name.hasPrefix($0.name) }
      throw SettingsError(
        "unknown flag" + (near.map { "; did you mean \($0.name)?" } ?? "; try --help"), key: name)
    }
    return (flag, attached)
  }

  private func check(_ parsed: ParsedCommandLine) throws(SettingsError) {
    for flag in flags where flag.isRequired && parsed.values[flag.name] == nil {
      throw SettingsError("missing required flag", key: flag.name)
    }
    if parsed.operands.count < operands.count {
      throw SettingsError("missing argument \(operands[parsed.operands.count]); try --help")
    }
    if parsed.operands.count > operands.count, !takesMoreOperands {
      throw SettingsError("unexpected argument '\(parsed.operands[operands.count])'; try --help")
    }
  }

  private static func argument(of flag: Flag) -> String {
    switch flag.arity {
    case .none: ""
    case .one: " <\(flag.placeholder)>"
    case .optional: " [\(flag.placeholder)]"
    }
  }

  /// The text of `--help`.
  public var help: String {
    let usage = (["usage:", command] + operands.map { "<\($0)>" } + ["[flags]"])
      .joined(separator: " ")
    let heads = flags.map { flag in
      ([flag.name] + flag.aliases).joined(separator: ", ")
        + Self.argument(of: flag)
    }
    let width = min(heads.map(\.count).max() ?? 0, 38)
    var text = "\(summary)\n\n\(usage)\n\n"
    for (flag, head) in zip(flags, heads) {
      var remarks: [String] = []
      if flag.isRequired { remarks.append("required") }
      if flag.isRepeatable { remarks.append("may be repeated") }
      if let value = flag.defaultValue { remarks.append("default: \(value)") }
      let note = remarks.isEmpty ? "" : " (\(remarks.joined(separator: "; ")))"
      if head.count > width {
        text += "  \(head)\n" + String(repeating: " ", count: width + 4)
      } else {
        text += "  \(head)" + String(repeating: " ", count: width - head.count + 2)
      }
      text += flag.help + note + "\n"
    }
    return text
  }
}

/// What a command line said.
public struct ParsedCommandLine: Sendable {
  /// By flag name; a toggle that is present has the value `true`.
  public internal(set) var values: [String: [String]] = [:]
  public internal(set) var operands: [String] = []
  let defaults: [String: String]

  init(defaults: [String: String]) { self.defaults = defaults }

  public func has(_ flag: String) -> Bool { values[flag] != nil }

  /// The flag's value, or its default.
  public func value(_ flag: String) -> String? { values[flag]?.last ?? defaults[flag] }

  /// Every value of a repeatable flag, in order.
  public func all(_ flag: String) -> [String] {
    values[flag] ?? defaults[flag].map { [$0] } ?? []
  }

  /// The value of a flag that the command cannot do without in this combination.
  public func require(_ flag: String) throws(SettingsError) -> String {
    guard let value = value(flag) else { throw SettingsError("missing required flag", key: flag) }
    return value
  }

  /// The flag's value as a whole number within `range`; nil when absent.
  public func integer(
    _ flag: String, in range: ClosedRange<Int> = .min ... .max
  ) throws(SettingsError) -> Int? {
    guard let text = value(flag) else { return nil }
    guard let number = Int(text.trimmed) else {
      throw SettingsError("not a whole number", key: flag, value: text)
    }
    guard range.contains(number) else {
      throw SettingsError(
        "must be from \(range.lowerBound) to \(range.upperBound)", key: flag, value: text)
    }
    return number
  }

  /// The flag's `key=value` pairs, as `--property` and `--add-config` take them.
  public func pairs(_ flag: String) throws(SettingsError) -> [(key: String, value: String)] {
    var pairs: [(key: String, value: String)] = []
    for text in all(flag) {
      guard let separator = text.firstIndex(of: "="), separator != text.startIndex else {
        throw SettingsError("expected key=value", key: flag, value: text)
      }
      pairs.append(
        (String(text[..<separator]), String(text[text.index(after: separator)...])))
    }
    return pairs
  }
}
