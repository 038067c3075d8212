// Names of topics.
import KafkaProtocol

/// What a topic may be called.
public enum TopicNames {
  /// Longer names would not fit in a directory's name with the partition behind them.
  public static let maximumLength = 249

  /// Why `name` is not allowed, in Kafka's words; nil if it is.
  public static func reasonInvalid(_ name: String) -> String? {
    if name.isEmpty { return "the empty string is not allowed" }
    if name == "." { return "'.' is not allowed" }
    if name == ".." { return "'..' is not allowed" }
    if name.utf16.count > maximumLength {
      return "the length of '\(name)' is longer than the max allowed length \(maximumLength)"
    }
    let isLegal = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "-"):
        true
      default: false
      }
    }
    return isLegal
      ? nil
      : "'\(name)' contains one or more characters other than ASCII alphanumerics, "
        + "'.', '_' and '-'"
  }

  /// Refuses a name with INVALID_TOPIC_EXCEPTION.
  static func validate(_ name: String) throws(Refusal) {
    if let reason = reasonInvalid(name) {
      throw Refusal(.invalidTopicException, "Topic name is invalid: \(reason)")
    }
  }

  /// Names that differ only in `.` and `_` would share their metrics.
  static func unified(_ name: String) -> String {
    String(name.map { $0 == "." ? "_" : $0 })
  }

  /// Only names with one of the two characters can collide with another name.
  static func mayCollide(_ name: String) -> Bool { name.contains(".") || name.contains("_") }

  /// Topics that brokers keep for themselves.
  public static func isInternal(_ name: String) -> Bool {
    name == "__consumer_offsets" || name == "__transaction_state"
      || name == "__share_group_state"
  }
}
