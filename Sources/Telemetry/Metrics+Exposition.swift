import Glibc
import Synchronization

extension Metrics {
  /// The content type of `exposition`.
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// All metrics as Prometheus text, sorted by name and labels.
  public func exposition() -> String {
    let (families, collectors) = state.withLock { ($0.families, $0.collectors) }
    let now = Self.nowMs()
    var text = ""
    for name in Set(families.keys).union(collectors.keys).sorted() {
      if let family = families[name] {
        Self.header(name, family.help, family.type, &text)
        for (labels, instrument) in family.series.sorted(by: { $0.key < $1.key }) {
          Self.show(name, labels, instrument, now, &text)
        }
      } else if let collector = collectors[name] {
        Self.header(name, collector.help, collector.type, &text)
        let lines = collector.read().map { sample in
          "\(name)\(Self.braced(Self.text(sample.labels))) \(Self.number(sample.value))\n"
        }
        text += lines.sorted().joined()
      }
    }
    return text
  }

  private static func header(_ name: String, _ help: String, _ type: String, _ text: inout String) {
    if !help.isEmpty { text += "# HELP \(name) \(escapedHelp(help))\n" }
    text += "# TYPE \(name) \(type)\n"
  }

  private static func show(
    _ name: String, _ labels: String, _ instrument: Instrument, _ now: Int64, _ text: inout String
  ) {
    switch instrument {
    case .counter(let counter): text += "\(name)\(braced(labels)) \(counter.value)\n"
    case .gauge(let gauge): text += "\(name)\(braced(labels)) \(gauge.value)\n"
    case .read(let read): text += "\(name)\(braced(labels)) \(number(read()))\n"
    case .distribution(let distribution, let scale):
      distribution.turn(nowMs: now)
      let values = distribution.percentiles(quantiles)
      for (quantile, value) in zip(quantiles, values) {
        let label = "quantile=\"\(quantile == 0.5 ? "0.50" : "\(quantile)")\""
        let all = labels.isEmpty ? label : labels + "," + label
        text += "\(name)\(braced(all)) \(number(Double(value) * scale))\n"
      }
      text += "\(name)_sum\(braced(labels)) \(number(Double(distribution.sum) * scale))\n"
      text += "\(name)_count\(braced(labels)) \(distribution.count)\n"
    }
  }

  private static func braced(_ labels: String) -> String { labels.isEmpty ? "" : "{\(labels)}" }

  /// `name="value"` pairs, separated by commas.
  static func text(_ labels: [(String, String)]) -> String {
    labels.map { "\($0.0)=\"\(escaped($0.1))\"" }.joined(separator: ",")
  }

  /// Whole numbers without a fraction; infinities and NaN as Prometheus spells them.
  private static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
    return "\(value)"
  }

  private static func escaped(_ value: String) -> String {
    guard value.utf8.contains(where: { $0 == 0x22 || $0 == 0x5c || $0 == 0x0a }) else {
      return value
    }
    var text = ""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\\": text += "\\\\"
      case "\"": text += "\\\""
      case "\n": text += "\\n"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  private static func escapedHelp(_ help: String) -> String {
    String(help.flatMap { $0.isNewline ? Array("\\n") : $0 == "\\" ? Array("\\\\") : [$0] })
  }

  private static func nowMs() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}
