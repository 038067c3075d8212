import Bytes
import Testing

@testable import ClientTelemetry

@Suite struct MetricsPayloadTests {
  // A writer of protocol buffers: enough to say what clients say.
  private func bytes(_ field: Int, _ content: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    writer.writeUnsignedVarint(UInt32(field << 3 | 2))
    writer.writeUnsignedVarint(UInt32(content.count))
    writer.writeBytes(content)
    return writer.array()
  }

  private func text(_ field: Int, _ text: String) -> [UInt8] { bytes(field, Array(text.utf8)) }

  private func fixed(_ field: Int, _ bits: UInt64) -> [UInt8] {
    var writer = ByteWriter()
    writer.writeUnsignedVarint(UInt32(field << 3 | 1))
    writer.writeUInt64(bits.byteSwapped)
    return writer.array()
  }

  private func varint(_ field: Int, _ value: UInt64) -> [UInt8] {
    var writer = ByteWriter()
    writer.writeUnsignedVarint(UInt32(field << 3))
    writer.writeUnsignedVarlong(value)
    return writer.array()
  }

  private func data(_ metrics: [[UInt8]]) -> [UInt8] {
    let scope = bytes(1, text(1, "scope")) + metrics.flatMap { bytes(2, $0) }
    return bytes(1, bytes(1, []) + bytes(2, scope) + text(3, "schema"))
  }

  private func attribute(_ key: String, _ value: [UInt8]) -> [UInt8] {
    text(1, key) + bytes(2, value)
  }

  @Test func gaugesAndSumsAreRead() throws {
    let gauge =
      bytes(7, attribute("b", text(1, "x"))) + bytes(7, attribute("a", varint(3, 5)))
      + fixed(2, 1) + fixed(3, 99) + fixed(4, (1.5).bitPattern)
    let sum = fixed(6, UInt64(bitPattern: -3))
    let found = try MetricsPayload(
      data([
        text(1, "g") + text(2, "what it is") + bytes(5, bytes(1, gauge)),
        text(1, "s") + bytes(7, bytes(1, sum) + varint(2, 1) + varint(3, 1)),
        text(1, "t") + bytes(7, bytes(1, sum) + bytes(1, sum) + varint(2, 2)),
      ])
    ).metrics
    let attributes = [
      ClientMetric.Attribute(key: "a", value: "5"), .init(key: "b", value: "x"),
    ]
    #expect(
      found == [
        ClientMetric(name: "g", kind: .gauge, value: 1.5, attributes: attributes, timeNs: 99),
        ClientMetric(name: "s", kind: .delta, value: -3, attributes: [], timeNs: 0),
        ClientMetric(name: "t", kind: .total, value: -3, attributes: [], timeNs: 0),
        ClientMetric(name: "t", kind: .total, value: -3, attributes: [], timeNs: 0),
      ])
  }

  @Test func distributionsAreCountAndSum() throws {
    let point =
      bytes(9, attribute("k", varint(2, 1))) + fixed(4, 7) + fixed(5, (2.5).bitPattern)
    let found = try MetricsPayload(
      data([text(1, "h") + bytes(9, bytes(1, point) + varint(2, 1))])
    ).metrics
    #expect(found.map(\.name) == ["h.count", "h.sum"] && found.map(\.value) == [7, 2.5])
    #expect(found.allSatisfy { $0.kind == .delta && $0.attributes.first?.value == "true" })
  }

  @Test func whatIsCutShortIsNoMetrics() throws {
    let gauge = bytes(5, bytes(1, fixed(4, (1.5).bitPattern)))
    let whole = data([text(1, "g") + gauge])
    #expect(try MetricsPayload(whole).metrics.count == 1)
    for count in 1..<whole.count {
      #expect(throws: ByteError.self, "\(count)") {
        try MetricsPayload(Array(whole.prefix(count)))
      }
    }
    #expect(throws: ByteError.self) { try MetricsPayload([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) }
    #expect(throws: ByteError.self) { try MetricsPayload([0x0b]) }
    #expect(try MetricsPayload([]).metrics.isEmpty)
  }
}
