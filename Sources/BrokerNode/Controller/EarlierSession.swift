import KafkaTransport
import Platform
import Telemetry
import ZooKeeperClient

/// The session of this broker's earlier process.
///
/// A broker that was killed leaves its registration behind until its session has run out, 18 s by
/// default, and one that is started again at once would wait for that long. The session's id is
/// therefore kept in the log directory, which one process alone may hold: if the registration
/// belongs to the very session that is noted there, the process of that session is gone, and the
/// session may be ended. Another broker that was given the same id by mistake has another
/// directory, and is left alone.
///
/// It is ended as operators do it: taken over by its id, and closed. Kafka overlooks the file.
struct EarlierSession: Sendable {
  static let fileName = ".zookeeper-session"
  let path: String
  private static let log = Log("registration")
  /// An ensemble that does not answer for so long is left to end the session itself.
  private static let patienceMs: Int64 = 5_000

  init(directory: String) { path = "\(directory)/\(Self.fileName)" }

  /// Nil when there is none, or nothing that could be read.
  func read() -> Int64? {
    guard let bytes = (try? FileSystem.readFile(path)) ?? nil else { return nil }
    let text = String(decoding: bytes, as: UTF8.self).filter(\.isHexDigit)
    return UInt64(text, radix: 16).map { Int64(bitPattern: $0) }
  }

  /// Notes the session in which this process registers. Nothing depends on it but the next start's
  /// speed.
  func note(_ session: Int64) {
    let text = String(UInt64(bitPattern: session), radix: 16) + "\n"
    do throws(SystemError) {
      try FileSystem.replaceFile(path, with: Array(text.utf8))
    } catch {
      Self.log.warn("the session was not noted: \(error)")
    }
  }

  /// Ends a session; `completion` comes on the loop, whether it was ended or not.
  static func end(
    _ session: Int64, of own: ZooKeeperSession, _ completion: @escaping () -> Void
  ) {
    log.info(
      "ending the session of this broker's earlier process",
      ["session": "0x" + String(UInt64(bitPattern: session), radix: 16)])
    let ending = Unchecked(Ending(completion))
    var options = ZooKeeperClient.Options()
    options.sessionTimeoutMs = Int32(clamping: own.sessionTimeoutMs)
    options.resumedSession = session
    options.tls = own.tls
    options.onSession = { event in
      switch event {
      case .connected: ending.value.client?.close { ending.value.finish() }
      // It has run out by itself.
      case .expired, .authFailed: ending.value.finish()
      case .disconnected: break
      }
    }
    let client = ZooKeeperClient(own.client.connectString, on: own.loop, options)
    ending.value.client = client
    client.start()
    own.loop.schedule(afterMs: patienceMs) { ending.value.finish() }
  }

  /// One attempt to end a session. Confined to the loop.
  private final class Ending {
    var client: ZooKeeperClient?
    private var completion: (() -> Void)?

    init(_ completion: @escaping () -> Void) { self.completion = completion }

    func finish() {
      client?.abandon()
      client = nil
      completion?()
      completion = nil
    }
  }
}
