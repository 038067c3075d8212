import Bytes
import Foundation
import TestKit
import Testing
import ZooKeeperProtocol

@testable import Znodes

/// What real servers wrote loads to the tree they had.
@Suite struct GoldenTests {
  struct Loaded {
    var database: Database
    var digestsChecked = 0
  }

  private func snapshot(_ url: URL) throws -> Database {
    let bytes = [UInt8](try Data(contentsOf: url))
    var reader = ByteReader(bytes.span.bytes)
    let header = try FileHeader(from: &reader)
    #expect(header == .snapshot)
    var loader = SnapshotLoader()
    let done = try loader.consume(&reader)
    #expect(done)
    let zxid = try #require(Int64(url.pathExtension, radix: 16))
    let database = loader.finish(zxid: zxid)
    let end = reader.position
    let sum = Adler32.checksum(bytes.span.bytes.extracting(0..<end))
    let seal = (try reader.readInt64(), try reader.readJuteString())
    #expect(seal == (sum, "/"))
    let digest = try SnapshotFormat.ZxidDigest(from: &reader)
    // A server that has not applied anything yet has no digest to write.
    if digest.zxid == zxid, zxid > 0 { #expect(digest.digest == database.tree.digest) }
    return database
  }

  private func load(_ folder: URL, from name: String) throws -> Loaded {
    var loaded = Loaded(database: try snapshot(folder.appending(path: name)))
    let logs = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { $0.hasPrefix("log.") }
      .sorted { Int($0.dropFirst(4), radix: 16)! < Int($1.dropFirst(4), radix: 16)! }
    var changes: [ZnodeChange] = []
    for log in logs {
      let bytes = [UInt8](try Data(contentsOf: folder.appending(path: log)))
      var reader = ByteReader(bytes.span.bytes)
      try reader.skip(FileHeader.size)
      while case .txn(let range) = TxnLogFormat.next(in: &reader) {
        let txn = try Txn(decoding: Array(bytes[range]))
        guard txn.header.zxid > loaded.database.lastZxid else { continue }
        _ = loaded.database.replay(txn, changes: &changes)
        if let digest = txn.digest {
          #expect(digest.treeDigest == loaded.database.tree.digest, "zxid \(txn.header.zxid)")
          loaded.digestsChecked += 1
        }
      }
    }
    return loaded
  }

  private func allPaths(_ tree: DataTree, _ path: String = "/") -> [String] {
    guard let index = tree.find(path) else { return [] }
    return [path]
      + tree.children(of: index).flatMap {
        allPaths(tree, path == "/" ? "/\($0)" : "\(path)/\($0)")
      }
  }

  private func compare(_ tree: DataTree, with json: [String: [String: Any]]) {
    let paths = Set(allPaths(tree))
    #expect(paths == Set(json.keys))
    for (path, expected) in json {
      guard let index = tree.find(path) else { continue }
      let stat = tree.stat(of: index)
      func check(_ name: String, _ value: Int64) {
        if let wanted = expected[name] as? NSNumber {
          #expect(value == wanted.int64Value, "\(path) \(name)")
        }
      }
      check("czxid", stat.czxid)
      check("mzxid", stat.mzxid)
      check("pzxid", stat.pzxid)
      check("ctime", stat.ctime)
      check("mtime", stat.mtime)
      check("version", Int64(stat.version))
      check("cversion", Int64(stat.cversion))
      check("aversion", Int64(stat.aversion))
      check("ephemeralOwner", stat.ephemeralOwner)
      let data = tree.data(of: index)
      if let text = expected["data"] as? String {
        let wanted =
          expected["encoding"] as? String == "utf-8"
          ? Array(text.utf8) : Array(Data(base64Encoded: text) ?? Data())
        #expect(data ?? [] == wanted, "\(path)")
      }
      let acl = (expected["acl"] as? [Any] ?? []).map { entry -> ACL in
        if let entry = entry as? [String: Any] {
          return ACL(
            perms: Permissions(rawValue: Int32(entry["perms"] as! Int)),
            id: AuthID(scheme: entry["scheme"] as! String, id: entry["id"] as! String))
        }
        let entry = entry as! [Any]
        return ACL(
          perms: Permissions(rawValue: Int32(entry[0] as! Int)),
          id: AuthID(scheme: entry[1] as! String, id: entry[2] as! String))
      }
      #expect(tree.acl(of: index) == acl, "\(path)")
    }
  }

  private func json(_ name: String) throws -> [String: [String: Any]] {
    try #require(
      JSONSerialization.jsonObject(with: Fixtures.data(name)) as? [String: [String: Any]])
  }

  @Test(arguments: ["snapshot.0", "snapshot.3b", "snapshot.65"])
  func aDataDirectoryOf38Loads(from name: String) throws {
    let folder = try Fixtures.unpack("zookeeper-3.8-datadir.tar.gz")
    defer { try? FileManager.default.removeItem(at: folder) }
    let loaded = try load(folder.appending(path: "data/version-2"), from: name)
    compare(loaded.database.tree, with: try json("zookeeper-3.8-tree.json.gz"))
    if name == "snapshot.0" { #expect(loaded.digestsChecked > 80) }
  }

  @Test func aDataDirectoryOf39Loads() throws {
    let folder = try Fixtures.unpack("kafka-3.9.0-zookeeper-mode-zookeeper-datadir.tar.gz")
    defer { try? FileManager.default.removeItem(at: folder) }
    let loaded = try load(folder.appending(path: "zk1/version-2"), from: "snapshot.0")
    var tree = try json("kafka-3.9.0-znodes.json.gz")
    // Ephemerals were there when the tree was read, and went with the broker.
    for (path, node) in tree where (node["ephemeralOwner"] as? Int ?? 0) != 0 { tree[path] = nil }
    let paths = Set(allPaths(loaded.database.tree))
    #expect(paths.isSuperset(of: tree.keys.filter { !$0.hasPrefix("/zookeeper") }))
    #expect(loaded.digestsChecked > 100)
  }

  /// A snapshot read and written again has the same nodes, and ours is read by ourselves to the
  /// very same bytes.
  @Test func snapshotsRoundTrip() throws {
    let folder = try Fixtures.unpack("zookeeper-3.8-datadir.tar.gz")
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "data/version-2/snapshot.65")
    let first = write(try snapshot(file))
    // Headers, seals and digest apart, it is as long as the original.
    #expect(first.count == (try Data(contentsOf: file)).count - 16 - 2 * 13 - 20)
    var again = try reload(first)
    // Children come back in the reverse order: after two turns everything is where it was.
    again = try reload(write(again))
    #expect(write(again) == first)
  }

  private func write(_ database: Database) -> [UInt8] {
    var writer = ByteWriter()
    var snapshot = SnapshotWriter(database)
    while snapshot.write(to: &writer, atLeast: 100) {}
    return writer.array()
  }

  private func reload(_ bytes: [UInt8]) throws -> Database {
    var loader = SnapshotLoader()
    // In pieces, as from a socket.
    var end = 0
    var start = 0
    while true {
      end = min(end + 97, bytes.count)
      var reader = ByteReader(bytes.span.bytes.extracting(start..<end))
      let done = try loader.consume(&reader)
      start += reader.position
      if done { break }
      #expect(end < bytes.count)
    }
    return loader.finish(zxid: 0)
  }
}
