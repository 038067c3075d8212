import Glibc
import Platform
import TestKit
import Testing

@Suite struct FileTests {
  @Test func positionedWritesReadBack() throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileSystem.removeTree(folder.path) }
    let file = try File(folder.path + "/a", [.read, .write, .create])
    try file.write([1, 2, 3], at: 0)
    let parts: [[UInt8]] = [[9], [], [8, 7]]
    parts[0].withUnsafeBytes { first in
      parts[2].withUnsafeBytes { last in
        #expect(throws: Never.self) {
          let empty = UnsafeRawBufferPointer(start: nil, count: 0)
          try file.write(gathering: [first, empty, last], at: 3)
        }
      }
    }
    #expect(try file.read(at: 1, count: 100) == [2, 3, 9, 8, 7])
    #expect(try file.size() == 6)
    try file.truncate(to: 2)
    #expect(try file.read(at: 0, count: 100) == [1, 2])
    try file.sync()
    try file.rename(to: folder.path + "/b")
    #expect(file.path == folder.path + "/b")
    #expect(try FileSystem.list(folder.path) == ["b"])
  }

  @Test func missingFilesSaySo() {
    #expect { try File("/nowhere/at/all") } throws: { ($0 as? SystemError)?.isNotFound == true }
    #expect(throws: Never.self) { try FileSystem.readFile("/nowhere/at/all") == nil }
  }

  @Test func injectedFaultsHitOnlyTheirFolder() throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileSystem.removeTree(folder.path) }
    let file = try File(folder.path + "/a", [.write, .create])
    let fault = FileFaults.inject(.sync, under: folder.path + "/a", code: EIO, skip: 1, times: 1)
    try file.sync()
    #expect { try file.syncData() } throws: { ($0 as? SystemError)?.code == EIO }
    try file.syncData()
    FileFaults.remove(fault)
    let full = FileFaults.inject(.write, under: folder.path, code: ENOSPC)
    #expect { try file.write([1], at: 0) } throws: { ($0 as? SystemError)?.isNoSpace == true }
    FileFaults.remove(full)
    try file.write([1], at: 0)
  }

  @Test func replacingIsAllOrNothing() throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileSystem.removeTree(folder.path) }
    let path = folder.path + "/deep/er/checkpoint"
    try FileSystem.createDirectory(folder.path + "/deep/er")
    try FileSystem.replaceFile(path, with: Array("one".utf8))
    let fault = FileFaults.inject(.rename, under: folder.path, code: EIO)
    #expect(throws: SystemError.self) { try FileSystem.replaceFile(path, with: Array("two".utf8)) }
    FileFaults.remove(fault)
    #expect(try FileSystem.readFile(path) == Array("one".utf8))
  }

  @Test func locksExclude() throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileSystem.removeTree(folder.path) }
    let first = try File(folder.path + "/.lock", [.write, .create])
    let second = try File(folder.path + "/.lock", [.write])
    #expect(try first.tryLock())
    #expect(try !second.tryLock())
  }

  @Test func mappingsShareWithTheFile() throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileSystem.removeTree(folder.path) }
    let file = try File(folder.path + "/index", [.read, .write, .create])
    try file.truncate(to: 8192)
    let map = try MappedFile(file, count: 8192, writable: true)
    map.bytes[8000] = 42
    try map.sync()
    #expect(try file.read(at: 8000, count: 1) == [42])
  }

  @Test func theCacheIsSeen() throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileSystem.removeTree(folder.path) }
    let file = try File(folder.path + "/log", [.read, .write, .create])
    try file.write([UInt8](repeating: 1, count: 1 << 20), at: 0)
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 4096)
    defer { scratch.deallocate() }
    #expect(file.isCached(100..<900_000, scratch: scratch))
    try file.sync()
    file.dropFromCache()
    // Where nothing was dropped (a file system in memory), there is nothing to bring back.
    file.bringIntoCache(0..<(1 << 20))
    #expect(file.isCached(0..<(1 << 20), scratch: scratch))
    #expect(file.isCached(5..<5, scratch: scratch))
  }
}
