import CPlatform
import Glibc
import Platform
import Simulation
import Values

/// What happens on a machine: a rolling hash of all of it, and the last events for people.
struct MachineTrace {
  enum Kind: UInt8 {
    case turn, threadMade, started, killed, powerLost, paused, resumed, clockJumped
    case linkChanged, linkHealed, arrived, note
    case fileOpened, fileWritten, fileResized, fileSynced, renamed, removed, directorySynced
    case writeUndone, nameUndone
  }

  /// Kept as numbers: most of them are never read.
  private struct Event {
    let at: Instant
    let kind: Kind
    let a: Int
    let b: Int
    let text: String
  }

  private static let kept = 20_000

  private var hash = Trace()
  private var ring: [Event] = []
  private var next = 0
  /// Written to without this package's own files, which the machine sees.
  private let file: Int32?

  init(file path: String?) throws(SystemError) {
    file = try path.map { (path) throws(SystemError) in
      let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
      if file < 0 { throw SystemError("open", on: path) }
      return file
    }
  }

  var digest: UInt64 { hash.digest }

  mutating func add(_ kind: Kind, _ a: Int, _ b: Int = 0, text: String = "", at now: Instant) {
    hash.mix(UInt64(kind.rawValue))
    hash.mix(now.nanoseconds)
    hash.mix(Int64(a))
    hash.mix(Int64(b))
    if !text.isEmpty { hash.mix(UInt64(Self.checksum(Array(text.utf8)))) }
    let event = Event(at: now, kind: kind, a: a, b: b, text: text)
    if ring.count < Self.kept {
      ring.append(event)
    } else {
      ring[next] = event
      next = (next + 1) % Self.kept
    }
    if let file {
      let line = Array((Self.line(event, "\(a)") + "\n").utf8)
      _ = write(file, line, line.count)
    }
  }

  /// Bytes count by their checksum: two runs that send different ones part here.
  mutating func add(_ kind: Kind, _ segment: Segment, at now: Instant) {
    let detail =
      switch segment.content {
      case .open(let port, _): Int(port)
      case .opened(let socket): Int(socket)
      case .data(let bytes): Self.checksum(bytes) << 32 | bytes.count
      case .credit(let count): -count
      case .end: -1
      case .reset: -2
      }
    let socket = Int(segment.to == 0 ? segment.from : segment.to) - Int(Machines.firstSocket)
    add(kind, socket, detail, at: now)
  }

  mutating func note(_ text: String, at now: Instant) {
    add(.note, 0, text: text, at: now)
  }

  static func checksum(_ bytes: [UInt8]) -> Int {
    Int(bytes.withUnsafeBytes { jd_crc32c(0, $0.baseAddress, $0.count) })
  }

  static func checksum(_ bytes: UnsafeRawBufferPointer) -> Int {
    Int(jd_crc32c(0, bytes.baseAddress, bytes.count))
  }

  /// The kept events as lines, oldest first.
  func lastEvents(_ threadName: (Int) -> String) -> [String] {
    (ring[next...] + ring[..<next]).map { event in
      let isThread = event.kind == .turn || event.kind == .threadMade
      return Self.line(event, isThread ? threadName(event.a) : "\(event.a)")
    }
  }

  private static func line(_ event: Event, _ subject: String) -> String {
    let (ms, rest) = event.at.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
    let digits = String(rest)
    let fraction = String(repeating: "0", count: 6 - digits.count) + digits
    if event.kind == .note { return "\(ms).\(fraction) \(event.text)" }
    let text = event.text.isEmpty ? "" : " " + event.text
    return "\(ms).\(fraction) \(event.kind) \(subject) \(event.b)\(text)"
  }
}
