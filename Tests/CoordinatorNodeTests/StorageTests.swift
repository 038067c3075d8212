import Bytes
import Foundation
import Platform
import TestKit
import Testing
import ZooKeeperProtocol

@testable import CoordinatorNode
@testable import Znodes

/// A data directory in a temporary folder, and transactions to put into it.
final class Directory {
  let folder: URL
  let data: DataDirectory

  init() throws {
    folder = try Fixtures.temporaryFolder()
    data = DataDirectory(dataDir: folder.path, dataLogDir: folder.path)
    try data.create()
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  static func txn(_ zxid: Int64, _ path: String? = nil) -> Txn {
    let create = CreateTxn(
      path: path ?? "/n\(zxid)", data: [1, 2, 3], acl: ACL.openUnsafe,
      parentCVersion: Int32(truncatingIfNeeded: zxid))
    return Txn(
      header: TxnHeader(clientID: 1, cxid: 1, zxid: zxid, time: 5, type: .create),
      body: .create(create))
  }

  /// Writes these transactions as one log file.
  func write(_ zxids: ClosedRange<Int64>, preallocation: Int64 = 1 << 16) throws {
    let writer = TxnLogWriter(data, preallocation: preallocation, syncs: false)
    for zxid in zxids {
      var bytes = ByteWriter()
      TxnLogFormat.write(Self.txn(zxid).encoded().span.bytes, to: &bytes)
      try writer.append(bytes.array(), first: zxid)
    }
  }

  func recover() throws -> Recovered { try Recovery(directory: data).run() }

  /// Changes a byte of a file.
  func damage(_ path: String, at offset: Int) throws {
    let file = try File(path, [.read, .write])
    let old = try file.read(at: Int64(offset), count: 1)
    try file.write([old[0] ^ 0xff], at: Int64(offset))
  }

  /// Where the entries of a log begin, and where they end.
  func offsets(_ path: String) throws -> [Int] {
    let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
    var reader = ByteReader(bytes.span.bytes)
    try reader.skip(FileHeader.size)
    var offsets = [reader.position]
    while case .txn = TxnLogFormat.next(in: &reader) { offsets.append(reader.position) }
    return offsets
  }
}

@Suite struct StorageTests {
  @Test func whatIsWrittenIsRecovered() throws {
    let directory = try Directory()
    try directory.write(1...10)
    try directory.write(11...20)
    let recovered = try directory.recover()
    #expect(recovered.database.lastZxid == 20)
    #expect(recovered.replayed == 20)
    #expect(recovered.recent.map(\.zxid) == Array(1...20))
    #expect(recovered.database.tree.find("/n20") != nil)
    // The file is as long as a real server would make it.
    #expect(try FileSystem.status(directory.data.log(1))?.size == 16 + 65536)
  }

  @Test func aSnapshotStandsForTheLogBeforeIt() throws {
    let directory = try Directory()
    try directory.write(1...10)
    let middle = try directory.recover()
    try SnapshotFile.write(middle.database, to: directory.data.snapshot(10))
    try directory.write(11...12)
    let recovered = try directory.recover()
    #expect(recovered.snapshotZxid == 10)
    #expect(recovered.replayed == 2)
    try FileSystem.removeFile(directory.data.log(1))
    #expect(try directory.recover().database.lastZxid == 12)
    // Without the snapshot the rest hangs in the air.
    try FileSystem.removeFile(directory.data.snapshot(10))
    #expect(throws: StorageError.self) { try directory.recover() }
  }

  @Test func aTornLastTransactionIsDropped() throws {
    for cut in [7, 8, 12, 30] {
      let directory = try Directory()
      try directory.write(1...5)
      let path = directory.data.log(1)
      let offsets = try directory.offsets(path)
      let file = try File(path, [.read, .write])
      // What had not reached the disk is zeros, as after a loss of power.
      try file.truncate(to: Int64(offsets[4] + cut))
      try file.truncate(to: 1 << 16)
      let recovered = try directory.recover()
      #expect(recovered.database.lastZxid == 4)
      #expect(try file.size() == Int64(offsets[4]))
      try directory.write(5...6)
      #expect(try directory.recover().database.lastZxid == 6)
    }
  }

  @Test func damageInTheMiddleIsRefusedByNameAndOffset() throws {
    let directory = try Directory()
    try directory.write(1...5)
    let path = directory.data.log(1)
    let offsets = try directory.offsets(path)
    try directory.damage(path, at: offsets[2] + 40)
    do {
      _ = try directory.recover()
      Issue.record("damage went unnoticed")
    } catch let error as StorageError {
      #expect("\(error)".contains(path))
      #expect("\(error)".contains("offset \(offsets[2])"))
    }
  }

  @Test func missingTransactionsAreNoticed() throws {
    let directory = try Directory()
    try directory.write(1...5)
    try directory.write(7...9)
    #expect(throws: StorageError.gap(file: directory.data.log(7), after: 5, next: 7)) {
      try directory.recover()
    }
  }

  @Test func aBrokenSnapshotIsPassedOver() throws {
    let directory = try Directory()
    try directory.write(1...5)
    try SnapshotFile.write(Database(), to: directory.data.snapshot(0))
    try SnapshotFile.write(try directory.recover().database, to: directory.data.snapshot(5))
    try directory.damage(directory.data.snapshot(5), at: 60)
    let recovered = try directory.recover()
    #expect(recovered.snapshotZxid == 0)
    #expect(recovered.database.lastZxid == 5)
  }

  @Test(arguments: [SnapshotCompression.none, .gzip, .snappy])
  func snapshotsComeBackAsTheyWere(_ compression: SnapshotCompression) throws {
    let directory = try Directory()
    try directory.write(1...200)
    let database = try directory.recover().database
    let path = directory.data.snapshot(200, compression)
    try SnapshotFile.write(database, to: path)
    let read = try SnapshotFile.read(path, zxid: 200, extendedTypes: false)
    #expect(read.tree.count == database.tree.count)
    #expect(read.tree.digest == database.tree.digest)
    #expect(try directory.data.listSnapshots().map(\.path) == [path])
    // Any damage is noticed, packed or not.
    let size = try File(path).size()
    try directory.damage(path, at: Int(size) / 2)
    #expect(throws: StorageError.self) {
      try SnapshotFile.read(path, zxid: 200, extendedTypes: false)
    }
  }

  @Test func logsWithoutASnapshotAreTrustedWhenTold() throws {
    let directory = try Directory()
    try directory.write(5...9)
    #expect(throws: StorageError.noSnapshot(directory: directory.data.snapshots)) {
      try directory.recover()
    }
    let trusted = try Recovery(directory: directory.data, trustsMissingSnapshot: true).run()
    #expect(trusted.database.lastZxid == 9)
  }

  @Test func snapshotsAreDueByCountOrBySize() {
    var byCount = SnapshotSchedule(snapCount: 10, replayed: 0, seed: 1)
    let taken = (1...11).filter { _ in byCount.isDue(logBytes: 0) }
    #expect(taken.first.map { (6...11).contains($0) } == true)
    var bySize = SnapshotSchedule(snapCount: 1_000_000, logBytes: 1000, replayed: 0, seed: 1)
    let early = bySize.isDueOnce(after: 400)
    let late = bySize.isDueOnce(after: 1001)
    #expect(!early && late)
  }

  @Test func theLogIsCutBack() throws {
    let directory = try Directory()
    try directory.write(1...5)
    try directory.write(6...9)
    try LogTruncation(directory: directory.data).cut(after: 3)
    #expect(try directory.recover().database.lastZxid == 3)
    #expect(try directory.data.listLogs().map(\.zxid) == [1])
    #expect(
      LogRange(directory: directory.data).read(from: 2, through: 3, limit: 1 << 20)?.map(\.zxid)
        == [2, 3])
  }

  @Test func oldFilesArePurged() throws {
    let directory = try Directory()
    for start in stride(from: Int64(1), to: 50, by: 10) {
      try directory.write(start...(start + 9))
      try SnapshotFile.write(
        try directory.recover().database, to: directory.data.snapshot(start + 4))
    }
    LogPurge(directory: directory.data).run(retaining: 3)
    #expect(try directory.data.listSnapshots().map(\.zxid) == [25, 35, 45])
    #expect(try directory.data.listLogs().map(\.zxid) == [21, 31, 41])
  }

  /// Data directories of real servers load, and what we write of them is read again to the same
  /// bytes.
  @Test(arguments: [
    ("zookeeper-3.8-datadir.tar.gz", "data"),
    ("kafka-3.9.0-zookeeper-mode-zookeeper-datadir.tar.gz", "zk1"),
  ])
  func dataOfRealServersLoads(_ fixture: String, _ name: String) throws {
    let folder = try Fixtures.unpack(fixture)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: name).path
    let data = DataDirectory(dataDir: path, dataLogDir: path)
    let recovered = try Recovery(directory: data).run()
    #expect(recovered.database.lastZxid > 50)
    let (first, second) = (folder.path + "/first", folder.path + "/second")
    try SnapshotFile.write(recovered.database, to: first)
    var again = try SnapshotFile.read(
      first, zxid: recovered.database.lastZxid, extendedTypes: false)
    // Children turn around with every reading: after the second one they are where they were.
    try SnapshotFile.write(again, to: second)
    again = try SnapshotFile.read(second, zxid: recovered.database.lastZxid, extendedTypes: false)
    try SnapshotFile.write(again, to: second)
    #expect(try FileSystem.readFile(first) == FileSystem.readFile(second))
  }

  @Test func epochsAreKept() throws {
    let directory = try Directory()
    #expect(try directory.data.readEpoch("currentEpoch") == nil)
    try directory.data.writeEpoch("currentEpoch", 7)
    #expect(try directory.data.readEpoch("currentEpoch") == 7)
  }
}

@Suite struct DirectoryLockTests {
  @Test func oneProcessAtATimeServesFromADirectory() throws {
    let directory = try Directory()
    var locks = try directory.data.lock()
    #expect(throws: StorageError.locked(directory: directory.data.snapshots)) {
      try directory.data.lock()
    }
    locks = []
    #expect(locks.isEmpty)
    #expect(try directory.data.lock().count == 1)
  }
}

extension SnapshotSchedule {
  fileprivate mutating func isDueOnce(after bytes: Int64) -> Bool { isDue(logBytes: bytes) }
}
