import Glibc
import Platform
import Values

// What a power failure does to a host's files; the model is at the top of DiskJournal.swift.

extension DiskJournal {
  mutating func losePower(
    of host: String, using random: inout SplitMix, into trace: inout MachineTrace, at now: Instant
  ) {
    let lost = files.filter { $0.value.host == host }.sorted { $0.value.ordinal < $1.value.ordinal }
    for (inode, file) in lost {
      let fate = Int(random.next() % 4)
      trace.add(.writeUndone, file.ordinal, fate, at: now)
      switch fate {
      case 0: Self.undo(file.changes[...], in: file.descriptor)
      case 1: break
      case 2: Self.tear(file, using: &random)
      default: Self.scatter(file, using: &random)
      }
      close(file.descriptor)
      files[inode] = nil
    }
    let own = names.filter { $0.host == host }
    let kept = Int(random.next() % UInt64(own.count + 1))
    trace.add(.nameUndone, own.count, kept, at: now)
    for entry in own[kept...].reversed() { Self.undo(entry.change) }
    names.removeAll { $0.host == host }
  }

  // MARK: Bytes

  private static func undo(_ changes: ArraySlice<Change>, in file: Int32) {
    for change in changes.reversed() {
      if !change.oldBytes.isEmpty { write(change.oldBytes[...], to: file, at: change.position) }
      ftruncate(file, Int(change.oldSize))
    }
  }

  /// Keeps a first part of the changes, the last of them in part.
  private static func tear(_ file: FileState, using random: inout SplitMix) {
    let torn = Int(random.next() % UInt64(file.changes.count))
    undo(file.changes[(torn + 1)...], in: file.descriptor)
    let change = file.changes[torn]
    let sectors = UInt64(change.count / 512 + 1)
    let start = change.position
    // Counted from the file's beginning, as sectors are.
    let cut = max(start, (start / 512 + Int64(random.next() % sectors)) * 512)
    let end = start + Int64(change.count)
    guard cut < end else { return }
    let overwritten = change.oldBytes.dropFirst(Int(cut - start))
    if !overwritten.isEmpty { write(overwritten, to: file.descriptor, at: cut) }
    ftruncate(file.descriptor, Int(max(change.oldSize, cut)))
  }

  /// Keeps each page that was changed, or not.
  private static func scatter(_ file: FileState, using random: inout SplitMix) {
    let page: Int64 = 4096
    let size = size(file.descriptor)
    var pages: Set<Int64> = []
    for change in file.changes where change.count > 0 {
      pages.formUnion(change.position / page...(change.position + Int64(change.count) - 1) / page)
    }
    let kept = pages.sorted().filter { _ in random.next() % 2 == 0 }.map { index in
      let start = index * page
      let count = max(0, min(page, size - start))
      return (start: start, bytes: read(file.descriptor, at: start, count: Int(count)))
    }
    undo(file.changes[...], in: file.descriptor)
    ftruncate(file.descriptor, Int(size))
    for (start, bytes) in kept where !bytes.isEmpty {
      write(bytes[...], to: file.descriptor, at: start)
    }
  }

  private static func write(_ bytes: ArraySlice<UInt8>, to file: Int32, at position: Int64) {
    bytes.withUnsafeBytes { _ = pwrite(file, $0.baseAddress, $0.count, Int(position)) }
  }

  // MARK: Names

  /// Later changes have been undone before, so that paths are what they were. What has come to have
  /// another name or content by a change that is durable stays as it is.
  private static func undo(_ change: NameChange) {
    switch change {
    case .created(let path, let inode):
      if self.inode(at: path) == inode { unlink(path) }
    case .createdDirectory(let path):
      rmdir(path)
    case .renamed(let from, let to, let inode, let replaced):
      guard self.inode(at: to) == inode else { return }
      rename(to, from)
      if let replaced { rename(replaced, to) }
    case .removed(let path, let kept):
      if self.inode(at: path) == nil { rename(kept, path) }
    case .removedDirectory(let path):
      mkdir(path, 0o755)
    }
  }
}
