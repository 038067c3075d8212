/// Latencies drawn as SVG, on a logarithmic scale from 0.1 ms to 100 s.
public struct LatencyPlot: Sendable {
  /// One line of the plot.
  public struct Series: Sendable {
    public var name: String
    /// An SVG colour.
    public var colour: String
    /// Places on the horizontal axis, from 0 to 1, and milliseconds.
    public var points: [(x: Double, ms: Double)]

    public init(_ name: String, _ colour: String, _ points: [(x: Double, ms: Double)]) {
      self.name = name
      self.colour = colour
      self.points = points
    }
  }

  public var series: [Series]
  /// Labels of the horizontal axis at places from 0 to 1.
  public var ticks: [(x: Double, label: String)]
  /// Said to those who cannot see it.
  public var label: String

  public static let width = 960.0
  public static let height = 300.0
  public static let left = 50.0
  public static let bottom = 40.0
  /// Room for labels above the plot.
  public var top = 20.0

  public init(_ series: [Series], ticks: [(x: Double, label: String)], label: String) {
    self.series = series
    self.ticks = ticks
    self.label = label
  }

  /// Pixels from the left of a place from 0 to 1.
  public static func x(_ place: Double) -> Double {
    left + min(max(place, 0), 1) * (width - left - 10)
  }

  /// Pixels from the top of a latency.
  public func y(_ ms: Double) -> Double {
    let decades = (Self.log10(max(ms, 0.1)) + 1) / 6
    return Self.height - Self.bottom - min(max(decades, 0), 1) * (Self.height - top - Self.bottom)
  }

  /// A coordinate with one digit: more would only make the page longer.
  public static func round(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

  /// - Parameters:
  ///   - under: SVG drawn before the lines.
  ///   - over: SVG drawn after them.
  public func svg(under: String = "", over: String = "") -> String {
    let lines = series.map { line in
      let points = line.points.map { "\(Self.round(Self.x($0.x))),\(Self.round(y($0.ms)))" }
      return "<polyline fill=\"none\" stroke=\"\(line.colour)\" stroke-width=\"1.3\" "
        + "points=\"\(points.joined(separator: " "))\"/>"
    }
    return "<svg viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" role=\"img\" "
      + "aria-label=\"\(HTMLPage.escape(label))\">\(axes)\(under)\(lines.joined())\(over)</svg>"
  }

  /// What the colours mean, as a paragraph.
  public var legend: String {
    let names = series.map {
      "<span style=\"color:\($0.colour)\">&#9632; \(HTMLPage.escape($0.name))</span>"
    }
    return "<p>\(names.joined(separator: " &nbsp; "))</p>"
  }

  private var axes: String {
    var parts: [String] = []
    for (ms, label) in [
      (0.1, "0.1 ms"), (1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1000, "1 s"), (10000, "10 s"),
      (100_000, "100 s"),
    ] {
      parts.append(
        "<line x1=\"\(Self.left)\" x2=\"\(Self.width - 10)\" y1=\"\(Self.round(y(ms)))\" "
          + "y2=\"\(Self.round(y(ms)))\" stroke=\"#eee\"/>"
          + "<text x=\"2\" y=\"\(Self.round(y(ms) + 4))\">\(label)</text>")
    }
    for tick in ticks {
      parts.append(
        "<text x=\"\(Self.round(Self.x(tick.x)))\" y=\"\(Self.height - 22)\">"
          + "\(HTMLPage.escape(tick.label))</text>")
    }
    return parts.joined()
  }

  /// The common logarithm, without a mathematics library: enough digits for a pixel.
  public static func log10(_ value: Double) -> Double {
    var result = 0.0
    var rest = value
    while rest >= 10 {
      rest /= 10
      result += 1
    }
    while rest < 1 {
      rest *= 10
      result -= 1
    }
    // rest lies in 1..<10: digits of the fraction by squaring.
    var bit = 0.5
    for _ in 0..<12 {
      rest *= rest
      if rest >= 10 {
        rest /= 10
        result += bit
      }
      bit /= 2
    }
    return result
  }
}
