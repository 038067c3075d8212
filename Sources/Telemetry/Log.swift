import Glibc
import Synchronization

/// How much a line matters. A healthy process prints a handful of `info` lines and nothing else.
public enum LogLevel: Int, Comparable, Sendable, CaseIterable, CustomStringConvertible {
  case debug, info, warn, error, off

  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

  public var description: String {
    switch self {
    case .debug: "DEBUG"
    case .info: "INFO"
    case .warn: "WARN"
    case .error: "ERROR"
    case .off: "OFF"
    }
  }

  /// Reads a level's name in any case (`TRACE` means debug, `FATAL` error); nil for other text.
  public init?(_ name: String) {
    switch name.uppercased() {
    case "TRACE", "DEBUG": self = .debug
    case "INFO": self = .info
    case "WARN", "WARNING": self = .warn
    case "ERROR", "FATAL": self = .error
    case "OFF", "NONE": self = .off
    default: return nil
    }
  }
}

/// Writes one line for each event to standard error:
/// `[2026-01-31 12:00:00,123] WARN transport: frame too large size=99 peer=127.0.0.1:5000`.
///
/// Message and fields are evaluated only when the line is printed. Values that would break the
/// line are quoted.
public struct Log: Sendable {
  /// What a line's fields are made from: `["topic": name, "partition": 3]`.
  public typealias Fields = KeyValuePairs<String, any CustomStringConvertible>

  public let component: String

  public init(_ component: String) { self.component = component }

  // MARK: Process-wide configuration

  private static let threshold = Atomic<Int>(LogLevel.info.rawValue)
  private static let sink = Mutex<(@Sendable (LogLevel, String) -> Void)?>(nil)

  /// Lines below this level are not printed. `info` at first.
  public static var level: LogLevel {
    get { LogLevel(rawValue: threshold.load(ordering: .relaxed)) ?? .info }
    set { threshold.store(newValue.rawValue, ordering: .relaxed) }
  }

  /// Sends lines (without the newline) elsewhere than to standard error; nil brings them back.
  public static func redirect(to body: (@Sendable (LogLevel, String) -> Void)?) {
    sink.withLock { $0 = body }
  }

  // MARK: Lines

  @inlinable public func isEnabled(_ level: LogLevel) -> Bool { level >= Log.level }

  public func debug(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:])
  {
    if isEnabled(.debug) { write(.debug, message(), fields()) }
  }

  public func info(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:])
  {
    if isEnabled(.info) { write(.info, message(), fields()) }
  }

  public func warn(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:])
  {
    if isEnabled(.warn) { write(.warn, message(), fields()) }
  }

  public func error(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:])
  {
    if isEnabled(.error) { write(.error, message(), fields()) }
  }

  private func write(_ level: LogLevel, _ message: String, _ fields: Fields) {
    var line = "[\(Self.timestamp())] \(level) \(component): \(Self.oneLine(message))"
    for (key, value) in fields { line += " \(key)=\(Self.quoted(value.description))" }
    if let sink = Self.sink.withLock({ $0 }) {
      sink(level, line)
      return
    }
    line += "\n"
    // One write for each line keeps lines of several threads apart.
    line.withUTF8 { bytes in
      var done = 0
      while done < bytes.count {
        let count = Glibc.write(2, bytes.baseAddress.map { $0 + done }, bytes.count - done)
        if count > 0 { done += count } else if errno != EINTR { return }
      }
    }
  }

  private static func oneLine(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 < 0x20 }) else { return text }
    return String(text.map { $0.isNewline ? " " : $0 })
  }

  private static func quoted(_ text: String) -> String {
    let isPlain = !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 }
    if isPlain { return text }
    var quoted = "\""
    for character in text.unicodeScalars {
      switch character {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case _ where character.value < 0x20: quoted += "\\u{\(String(character.value, radix: 16))}"
      default: quoted.unicodeScalars.append(character)
      }
    }
    return quoted + "\""
  }

  /// Local time with milliseconds, as Kafka's own logs have it.
  private static func timestamp() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    var parts = tm()
    localtime_r(&time.tv_sec, &parts)
    let date = "\(parts.tm_year + 1900)-\(digits(parts.tm_mon + 1))-\(digits(parts.tm_mday))"
    let clock = "\(digits(parts.tm_hour)):\(digits(parts.tm_min)):\(digits(parts.tm_sec))"
    return "\(date) \(clock),\(digits(Int32(time.tv_nsec / 1_000_000), width: 3))"
  }

  private static func digits(_ value: Int32, width: Int = 2) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, width - text.count)) + text
  }
}
