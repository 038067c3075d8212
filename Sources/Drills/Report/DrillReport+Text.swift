// The report for a person at a terminal.

extension DrillReport {
  /// Lines without trailing newlines.
  public var text: [String] {
    var lines = [
      "drill \(number) \(name): \(title)",
      "  breaks     \(breaks)",
      "  must hold  \(mustHold)",
      "  cluster    \(cluster), \(mode) mode",
      "  build      \(build)",
    ]
    for key in settings.keys.sorted() { lines.append("  \(key) = \(settings[key] ?? "")") }
    lines.append("")
    for event in events where event.kind != TimelineEvent.Kind.note.rawValue {
      lines.append("  \(Self.seconds(event.atMs))  \(Self.pad(event.kind, 10))  \(event.text)")
    }
    lines.append("")
    lines += recoveryLines
    lines.append(
      "  records    \(records.attempted) sent: \(records.acknowledged) acknowledged, "
        + "\(records.failed) failed, \(records.unknown) unknown; \(records.consumed) read")
    if znodes.attempted > 0 {
      lines.append(
        "  znodes     \(znodes.attempted) operations: \(znodes.acknowledged) answered, "
          + "\(znodes.failed) failed, \(znodes.unknown) unknown")
    }
    if administration.attempted > 0 {
      lines.append(
        "  admin      \(administration.attempted) requests: \(administration.acknowledged) done, "
          + "\(administration.failed) refused, \(administration.unknown) unknown")
    }
    lines.append("")
    for check in checks {
      lines.append(
        "  \(check.holds ? "holds " : "FAILS ")  \(check.name)"
          + (check.detail.isEmpty ? "" : " (\(check.detail))"))
    }
    for kind in anomalies.keys.sorted() { lines.append("  \(kind): \(anomalies[kind] ?? 0)") }
    if countedLosses > 0 {
      lines.append("  losses that this drill counts and reports: \(countedLosses)")
    }
    for finding in findings.prefix(3) {
      lines.append("  \(finding.kind) \(finding.subject): \(finding.detail)")
      for operation in finding.operations.prefix(4) { lines.append("      \(operation)") }
    }
    lines.append("")
    lines.append("  valid: \(valid)")
    return lines
  }

  private var recoveryLines: [String] {
    let rows: [(String, Int64?)] = [
      ("to detect", recovery.toDetectMs), ("to elect", recovery.toElectMs),
      ("to the first acknowledged write", recovery.toFirstWriteMs),
      ("to full ISR", recovery.toFullISRMs),
      ("longest without an acknowledged write", recovery.longestWithoutWriteMs),
      ("longest without a read", recovery.longestWithoutReadMs),
    ]
    return rows.compactMap { name, value in
      value.map { "  \(Self.pad(name, 38))\(Self.pad("\($0)", 7, left: true)) ms" }
    }
  }

  static func seconds(_ ms: Int64) -> String {
    let text = "\(ms / 1000).\(ms % 1000 / 100)\(ms % 100 / 10) s"
    return pad(text, 9, left: true)
  }

  static func pad(_ text: String, _ width: Int, left: Bool = false) -> String {
    let space = String(repeating: " ", count: max(0, width - text.count))
    return left ? space + text : text + space
  }
}
