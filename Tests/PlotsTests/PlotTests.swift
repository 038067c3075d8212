import Foundation
import Testing

@testable import Plots

@Suite struct PlotTests {
  @Test func logarithmsAreGoodForAPixel() {
    for value in [0.001, 0.1, 0.5, 1, 2, 9.99, 10, 123.4, 100_000] {
      #expect(abs(LatencyPlot.log10(value) - log10(value)) < 0.001, "\(value)")
    }
  }

  @Test func latenciesLieBetweenTheAxes() {
    let plot = LatencyPlot([], ticks: [], label: "")
    #expect(plot.y(0.01) == plot.y(0.1))
    #expect(plot.y(1_000_000) == plot.y(100_000))
    #expect(plot.y(10) < plot.y(1))
    #expect(LatencyPlot.x(-1) == LatencyPlot.x(0) && LatencyPlot.x(2) == LatencyPlot.x(1))
  }

  @Test func everySeriesIsDrawnAndNamed() {
    let plot = LatencyPlot(
      [.init("p99", "#a05a00", [(0, 1), (0.5, 10), (1, 100)])], ticks: [(0, "0 s"), (1, "9 s")],
      label: "a \"plot\"")
    let svg = plot.svg(under: "<g/>")
    #expect(svg.contains("stroke=\"#a05a00\"") && svg.contains("9 s") && svg.contains("<g/>"))
    #expect(svg.contains("a &quot;plot&quot;"))
    #expect(plot.legend.contains("p99"))
  }

  @Test func whatPeopleWroteIsEscaped() {
    let page = HTMLPage.document(
      title: "<a>", body: HTMLPage.table([["x & y", "1"]], numbers: [1]))
    #expect(page.contains("<title>&lt;a&gt;</title>"))
    #expect(page.contains("<td>x &amp; y</td><td class=\"n\">1</td>"))
  }
}
