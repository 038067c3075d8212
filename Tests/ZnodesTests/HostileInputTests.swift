import Bytes
import Testing
import Values
import ZooKeeperProtocol

@testable import Znodes

/// Bodies that no client would send: they are refused, and the tree goes on.
@Suite struct HostileInputTests {
  private func samples() -> [(OpCode, [UInt8])] {
    var watches = ByteWriter()
    var request = SetWatchesRequest(relativeZxid: 1)
    request.dataWatches = ["/a", "/b"]
    request.persistentRecursiveWatches = ["/"]
    request.write(to: &watches, type: .setWatches2)
    return [
      (.create, CreateRequest(path: "/f", data: [1], mode: .ephemeralSequential).encoded()),
      (.create2, CreateRequest(path: "/f", data: nil, mode: .container).encoded()),
      (.createTTL, CreateTTLRequest(create: CreateRequest(path: "/t", data: []), ttl: 9).encoded()),
      (.delete, PathVersionRequest(path: "/f0000000000").encoded()),
      (.setData, SetDataRequest(path: "/", data: [1, 2]).encoded()),
      (.setACL, SetACLRequest(path: "/f", acl: ACL.openUnsafe + ACL.readUnsafe).encoded()),
      (.check, PathVersionRequest(path: "/", version: 3).encoded()),
      (
        .multi,
        MultiRequest([
          .create(.create, CreateRequest(path: "/m", data: [])),
          .delete(PathVersionRequest(path: "/m")),
        ]).encoded()
      ),
      (.multiRead, MultiRequest([.getData(PathWatchRequest(path: "/"))]).encoded()),
      (.getData, PathWatchRequest(path: "/", watch: true).encoded()),
      (.getChildren2, PathWatchRequest(path: "/", watch: true).encoded()),
      (.exists, PathWatchRequest(path: "/none", watch: true).encoded()),
      (.getACL, PathRecord(path: "/").encoded()),
      (.getEphemerals, PathRecord(path: "/").encoded()),
      (.getAllChildrenNumber, PathRecord(path: "/").encoded()),
      (.addWatch, PathKindRequest(path: "/", kind: 1).encoded()),
      (.removeWatches, PathKindRequest(path: "/", kind: 3).encoded()),
      (.setWatches2, watches.array()),
      (.createSession, [0, 0, 0, 9]),
      (.deleteContainer, Array("/f".utf8)),
      (.reconfig, ReconfigRequest().encoded()),
    ]
  }

  private func mutated(_ body: [UInt8], _ random: inout SplitMix) -> [UInt8] {
    var body = body
    for _ in 0..<Int.random(in: 1...3, using: &random) where !body.isEmpty {
      let at = Int.random(in: 0..<body.count, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: body[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: body.removeSubrange(at...)
      case 2: body.insert(contentsOf: [0xff, 0xff, 0xff, 0xff], at: at)
      default: body[at] = [0, 0x2f, 0x7f, 0x80, 0xff].randomElement(using: &random) ?? 0
      }
    }
    return body
  }

  @Test(arguments: 0..<4)
  func mutatedRequestsDoNoHarm(_ seed: Int) {
    var random = SplitMix(seed: UInt64(seed))
    let server = TestServer()
    let requester = Requester(
      session: 1, identities: server.identities, watcher: WatcherID(rawValue: 1))
    let samples = samples()
    for _ in 0..<1500 {
      guard let (type, sample) = samples.randomElement(using: &random) else { return }
      let body = Bool.random(using: &random) ? mutated(sample, &random) : sample
      if type.isWrite {
        server.propose(type, body)
        if Bool.random(using: &random) { server.flush() }
      } else {
        var reader = ByteReader(body.span.bytes)
        var reply = ByteWriter()
        _ = try? server.database.read(
          type, &reader, by: requester, watches: &server.watches,
          notifications: &server.notifications, to: &reply)
      }
    }
    server.flush()
    server.watches.removeAll(of: requester.watcher)
    #expect(server.watches.count == 0)
    #expect(server.preparer.outstandingCount == 0)
  }

  /// A snapshot with any byte wrong is refused or loads to something; it never traps.
  @Test func damagedSnapshotsDoNoHarm() {
    let server = TestServer()
    for name in ["/a", "/a/b", "/a/b/c", "/d"] {
      _ = server.create(name, [1, 2], acl: ACL.openUnsafe + ACL.readUnsafe)
    }
    var writer = ByteWriter()
    var snapshot = SnapshotWriter(server.database)
    while snapshot.write(to: &writer, atLeast: 1 << 16) {}
    let bytes = writer.array()
    for position in bytes.indices {
      for flip in [UInt8(1), 0x80] {
        var damaged = bytes
        damaged[position] ^= flip
        var reader = ByteReader(damaged.span.bytes)
        var loader = SnapshotLoader()
        _ = try? loader.consume(&reader)
      }
    }
  }
}
