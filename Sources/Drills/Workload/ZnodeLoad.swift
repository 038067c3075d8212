// Compare-and-set on znodes, for the linearizability checker.
import Histories
import Platform
import Synchronization
import Values
import ZooKeeperClient
import ZooKeeperProtocol

/// One session that reads (after `sync`) and conditionally writes a few znodes, one operation after
/// the other.
struct ZnodeLoad: Workload {
  /// A connect string; sessions of a run begin at different servers of it.
  let coordination: String
  let paths: [String]
  let recorder: Recorder
  let seed: UInt64
  var sessionTimeoutMs: Int32 = 6_000
  /// Between two operations.
  var pauseMs: Int64 = 5

  func run(until stop: StopSignal) async {
    guard let address = try? ConnectString(coordination), let loop = try? EventLoop(name: "znodes")
    else { return }
    defer { loop.stop() }
    var random = SplitMix(seed: seed)
    while !stop.isStopped {
      let session = ZnodeSession(address, on: loop, timeoutMs: sessionTimeoutMs)
      let process = recorder.newProcess()
      if await session.connect(limitMs: 5_000, stop) {
        while !stop.isStopped, !session.isOver {
          let path = paths[Int.random(in: 0..<paths.count, using: &random)]
          await operate(session, path, process, &random)
          await LoadRuntime.pause(pauseMs)
        }
      }
      await session.close()
    }
  }

  private func operate(
    _ session: ZnodeSession, _ path: String, _ process: Int, _ random: inout SplitMix
  ) async {
    guard let known = await read(session, path, process) else { return }
    guard let version = known.version else {
      await create(session, path)
      return
    }
    if Int.random(in: 0..<3, using: &random) == 0 { return }
    let invoked = Clock.now()
    let value = recorder.newValue()
    // Now and then with a version that cannot fit, so that refusals are judged too.
    let expected = Int.random(in: 0..<8, using: &random) == 0 ? version + 7 : version
    do {
      let stat = try await session.client.setData(path, Array("\(value)".utf8), version: expected)
      recorder.add(
        znode: path, .set(value: value, expected: expected, applied: true), invoked: invoked, .ok)
      recorder.saw(path, mzxid: stat.mzxid, session: process)
    } catch {
      note(
        error, path, .set(value: value, expected: expected, applied: false), [.badVersion], invoked)
    }
  }

  /// A linearizable read: the server catches up with its leader first.
  private func read(
    _ session: ZnodeSession, _ path: String, _ process: Int
  ) async -> (version: Int32?, Void)? {
    let invoked = Clock.now()
    do {
      try await session.client.sync(path)
      let answer = try await session.client.getData(path)
      let text = String(decoding: answer.data ?? [], as: UTF8.self)
      recorder.add(
        znode: path, .get(value: Int64(text), version: answer.stat.version), invoked: invoked, .ok)
      recorder.saw(path, mzxid: answer.stat.mzxid, session: process)
      return (answer.stat.version, ())
    } catch ZooKeeperError.noNode {
      recorder.add(znode: path, .get(value: nil, version: 0), invoked: invoked, .ok)
      return (nil, ())
    } catch {
      // A read that got no answer says nothing.
      recorder.add(znode: path, .get(value: nil, version: 0), invoked: invoked, .failed)
      return nil
    }
  }

  private func create(_ session: ZnodeSession, _ path: String) async {
    let invoked = Clock.now()
    let value = recorder.newValue()
    do {
      try await session.client.create(path, Array("\(value)".utf8))
      recorder.add(znode: path, .create(value: value, applied: true), invoked: invoked, .ok)
    } catch {
      note(error, path, .create(value: value, applied: false), [.nodeExists], invoked)
    }
  }

  /// Refusals prove something; anything else leaves the write's fate open.
  private func note(
    _ error: ZooKeeperError, _ path: String, _ call: ZnodeModel.Call, _ refusals: [ZooKeeperError],
    _ invoked: Instant
  ) {
    recorder.add(
      znode: path, call, invoked: invoked, refusals.contains(error) ? .ok : .unknown)
  }
}

/// A session and whether it is still of use.
final class ZnodeSession: Sendable {
  let client: ZooKeeperClient
  private let state: SessionState

  private final class SessionState: Sendable {
    let isConnected = Atomic<Bool>(false)
    let isOver = Atomic<Bool>(false)
  }

  /// - Parameter session: one to take over; nil: a new one.
  init(
    _ address: ConnectString, on loop: EventLoop, timeoutMs: Int32, resuming session: Int64? = nil
  ) {
    let state = SessionState()
    var options = ZooKeeperClient.Options()
    options.sessionTimeoutMs = timeoutMs
    options.resumedSession = session
    options.onSession = { event in
      switch event {
      case .connected: state.isConnected.store(true, ordering: .releasing)
      case .disconnected: state.isConnected.store(false, ordering: .releasing)
      case .expired, .authFailed: state.isOver.store(true, ordering: .releasing)
      }
    }
    self.state = state
    client = ZooKeeperClient(address, on: loop, options)
  }

  var isOver: Bool { state.isOver.load(ordering: .acquiring) }

  func connect(limitMs: Int64, _ stop: StopSignal) async -> Bool {
    client.start()
    let deadline = Clock.now().advanced(milliseconds: limitMs)
    while !state.isConnected.load(ordering: .acquiring) {
      if stop.isStopped || isOver || Clock.now() > deadline { return false }
      await LoadRuntime.pause(5)
    }
    return true
  }

  func close() async {
    if isOver { client.abandon() } else { await client.close() }
  }
}
