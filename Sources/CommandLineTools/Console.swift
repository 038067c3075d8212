import Foundation
import Synchronization

/// Where a tool's words go: results to standard output, problems and progress to standard error.
///
/// Output is gathered and written in large pieces, because a console consumer prints millions of
/// lines.
final class Console: Sendable {
  private let pending = Mutex<[UInt8]>([])
  private static let limit = 1 << 16

  init() {}

  func line(_ text: String) {
    write(text)
    write("\n")
  }

  func write(_ text: String) { write(Array(text.utf8)) }

  func write(_ bytes: some Sequence<UInt8>) {
    let isFull = pending.withLock { buffer in
      buffer.append(contentsOf: bytes)
      return buffer.count >= Self.limit
    }
    if isFull { flush() }
  }

  func flush() {
    let bytes = pending.withLock { buffer in
      defer { buffer.removeAll(keepingCapacity: true) }
      return buffer
    }
    if !bytes.isEmpty { try? FileHandle.standardOutput.write(contentsOf: Data(bytes)) }
  }

  /// One line to standard error.
  func problem(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
  }

  /// A line on standard error that the next one replaces; empty: only wipes it away.
  func progress(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data("\r\u{1B}[K\(text)".utf8))
  }

  /// Columns wide enough for their widest cell, two spaces apart.
  func table(_ head: [String], _ rows: [[String]]) {
    var widths = head.map(\.count)
    for row in rows {
      for (index, cell) in row.enumerated() where index < widths.count {
        widths[index] = max(widths[index], cell.count)
      }
    }
    for row in [head] + rows {
      let cells = row.enumerated().map { index, cell in
        index == row.count - 1 ? cell : cell.padding(to: widths[index])
      }
      line(cells.joined(separator: "  "))
    }
  }

  /// One JSON document, keys sorted.
  func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    line(String(decoding: try encoder.encode(value), as: UTF8.self))
  }
}
