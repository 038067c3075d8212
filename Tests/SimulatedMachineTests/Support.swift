import Bytes
import Foundation
import Glibc
import Platform
import Synchronization
import Testing
import Transport

@testable import SimulatedMachine

// A process simulates one machine, so that each test here is a process of its own (an exit test).
// What it prints is what the test looks at.

enum Scratch {
  /// A machine whose folder is in memory where there is such a file system.
  static func machine(
    seed: UInt64, options: SimulatedMachine.Options = .init()
  ) throws -> SimulatedMachine {
    // Not by this package's own calls, which the machine sees and would keep the files for.
    atexit { Scratch.removeFolder() }
    return try SimulatedMachine(seed: seed, folder: folder, options: options)
  }

  /// For a process that is going to crash.
  static func removeFolder() { try? FileManager.default.removeItem(atPath: folder) }

  private static let folder = (FileSystem.exists("/dev/shm") ? "/dev/shm" : "/tmp")
    + "/jackdaw-machine-\(getpid())"

  /// Runs in the child: prints what the parent compares, and ends without waiting for anybody.
  static func report(_ text: String) {
    FileHandle.standardOutput.write(Data("\n<<\(text)>>\n".utf8))
  }

  /// What children have printed.
  static func reports(of result: ExitTest.Result?) -> [String] {
    let text = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    return text.matches(of: #/<<(.*)>>/#).map { String($0.1) }
  }
}

/// Answers every frame with itself.
final class Echo: FrameHandler, Sendable {
  func opened(_ connection: Connection) {}
  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    connection.send(Array(frame))
  }
  func closed(_ connection: Connection, because reason: CloseReason) {}
}

/// Collects what comes, and how it ends.
final class Collector: FrameHandler, Sendable {
  struct Seen {
    var opened = 0
    var frames: [[UInt8]] = []
    var reasons: [CloseReason] = []
  }
  let seen = Mutex(Seen())

  func opened(_ connection: Connection) { seen.withLock { $0.opened += 1 } }
  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    let bytes = Array(frame)
    seen.withLock { $0.frames.append(bytes) }
  }
  func closed(_ connection: Connection, because reason: CloseReason) {
    seen.withLock { $0.reasons.append(reason) }
  }
}

extension Connection {
  func send(_ frame: [UInt8]) {
    let mark = output.beginFrame()
    output.writeBytes(frame)
    output.endFrame(mark)
  }
}

extension SimulatedMachine {
  /// A process that listens at a port and echoes.
  func startEcho(_ name: String, port: UInt16) throws -> SimulatedProcess {
    try start(name) {
      let group = try? EventLoopGroup(count: 2, name: "echo")
      guard let group else { return }
      _ = try? Server(
        at: .loopback(port: port), on: group, options: ServerOptions()
      ) { _ in .frames(Echo()) }
    }
  }

  /// A process with a connection, over which it sends frames of these sizes at once.
  func startClient(
    _ name: String, port: UInt16, sizes: [Int], _ collector: Collector
  ) throws -> SimulatedProcess {
    try start(name) {
      guard let loop = try? EventLoop(name: "client") else { return }
      loop.execute {
        let connection = Connection.connect(
          to: .loopback(port: port), on: loop, .frames(collector))
        for (index, size) in sizes.enumerated() {
          connection.send([UInt8](repeating: UInt8(truncatingIfNeeded: index), count: size))
        }
      }
    }
  }
}
