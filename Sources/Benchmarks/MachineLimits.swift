import Foundation
import Glibc
import Platform
import Values

/// What this machine can do at best, measured in the same run: the other side of every ratio.
public struct MachineLimits: Codable, Sendable {
  /// One file written from front to back and synced, MiB/s.
  public let sequentialWrite: Double
  /// One file sent through a socket by sendfile and read at the other end, MiB/s.
  public let socketCopy: Double
  /// A small write and its fdatasync, ms.
  public let syncMs: Double

  public static func measure(in folder: URL) throws -> MachineLimits {
    let path = folder.appending(path: "limits.bin").path
    defer { unlink(path) }
    let megabytes = 256
    let block = [UInt8](repeating: 7, count: 1 << 20)
    let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { throw BenchmarkFailure("\(path) cannot be written") }
    defer { close(descriptor) }
    var start = Clock.now()
    for _ in 0..<megabytes {
      guard write(descriptor, block, block.count) == block.count else {
        throw BenchmarkFailure("\(path) cannot be written: the disk may be full")
      }
    }
    fdatasync(descriptor)
    let sequential = rate(megabytes, since: start)
    start = Clock.now()
    for _ in 0..<50 {
      _ = pwrite(descriptor, block, 512, 0)
      fdatasync(descriptor)
    }
    let sync = Double(Clock.now().nanoseconds - start.nanoseconds) / 50 / 1e6
    return MachineLimits(
      sequentialWrite: sequential, socketCopy: try copy(descriptor, megabytes), syncMs: sync)
  }

  private static func copy(_ file: Int32, _ megabytes: Int) throws -> Double {
    var ends: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
      throw BenchmarkFailure("no socket pair: \(String(cString: strerror(errno)))")
    }
    let total = megabytes << 20
    let sink = ends[1]
    let reader = Foundation.Thread {
      var buffer = [UInt8](repeating: 0, count: 1 << 18)
      var left = total
      while left > 0 {
        let count = recv(sink, &buffer, buffer.count, 0)
        if count <= 0 { break }
        left -= count
      }
      close(sink)
    }
    let start = Clock.now()
    reader.start()
    var position = off_t(0)
    while position < total {
      if sendfile(ends[0], file, &position, total - Int(position)) <= 0 { break }
    }
    shutdown(ends[0], Int32(SHUT_WR))
    var byte: UInt8 = 0
    _ = recv(ends[0], &byte, 1, 0)  // until the reader has closed its end
    close(ends[0])
    return rate(megabytes, since: start)
  }

  private static func rate(_ megabytes: Int, since start: Instant) -> Double {
    Double(megabytes) / (Double(Clock.now().nanoseconds - start.nanoseconds) / 1e9)
  }
}

/// Why nothing could be measured: one line for a person.
public struct BenchmarkFailure: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
