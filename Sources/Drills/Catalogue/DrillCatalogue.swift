// All drills, in the order of their numbers.

/// The drills that there are. Numbers are those of the field's catalogue and stay the same.
public enum DrillCatalogue {
  public static let all: [Drill] =
    (brokers + controllers + coordination + quorum + links + disks + groups + machines)
    .sorted { $0.number < $1.number }

  /// By name or number.
  public static func find(_ text: String) -> Drill? {
    all.first { $0.name == text || "\($0.number)" == text }
  }

  /// What CI runs in a mode.
  public static func short(mode: String) -> [Drill] {
    all.filter { $0.isShort && $0.modes.contains(mode) }
  }
}
