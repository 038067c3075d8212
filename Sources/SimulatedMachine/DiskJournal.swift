import Glibc
import Platform
import Simulation
import Values

// The fault model of the disk:
//
// - Files are real files, in a folder for each host. Reading, mapping and listing them is the
//   kernel's business; the journal remembers how to undo what has not been synced.
// - What a process wrote survives its end, killed or not: the page cache is its host's.
// - A power failure treats each file with unsynced changes by itself, in one of four ways: all of
//   them are lost; all are there; a first part of them is there, the last one torn at a multiple of
//   512 bytes; or each page of 4096 bytes is there or not for itself, so that a file may have its
//   new size and old bytes, or zeros, in the middle.
// - Names are durable when their directory was synced. Those created, renamed and removed since
//   then survive a power failure up to some point in their order, and not beyond. A rename is there
//   or not, in both directories, once either was synced.
// - What was synced is never lost or altered, and a sync never fails (`FileFaults` does that).

/// How to undo what a power failure would lose.
struct DiskJournal {
  /// A change of a file's bytes.
  struct Change {
    let oldSize: Int64
    let position: Int64
    /// Bytes written; 0 for a change of size.
    let count: Int
    /// What was there before, as far as there was something.
    let oldBytes: [UInt8]
  }

  struct FileState {
    /// In the order of their first change: inodes are the kernel's, and differ from run to run.
    let ordinal: Int
    let host: String
    /// The journal's own way to the file, whatever it is called by now.
    let descriptor: Int32
    var changes: [Change] = []
  }

  enum NameChange {
    case created(path: String, inode: UInt64)
    case createdDirectory(path: String)
    /// `replaced` is where the file lies that had the new name before.
    case renamed(from: String, to: String, inode: UInt64, replaced: String?)
    case removed(path: String, kept: String)
    case removedDirectory(path: String)
  }

  struct NameEntry {
    let host: String
    /// The directories' inodes: directories are renamed, too.
    let directories: [UInt64]
    let change: NameChange
  }

  private struct OpenFile {
    let host: String
    let inode: UInt64
  }

  private let root: String
  private let graveyard: String
  private var openFiles: [Int32: OpenFile] = [:]
  var files: [UInt64: FileState] = [:]
  var names: [NameEntry] = []
  /// When files were changed, in milliseconds since 1970.
  private(set) var modified: [UInt64: Int64] = [:]
  private var ordinals = 0
  private var graves = 0

  init(folder: String, graveyard: String) {
    root = folder + "/"
    self.graveyard = graveyard + "/"
  }

  /// The host whose disk a path is on; nil for files outside of the simulation.
  func host(of path: String) -> String? {
    guard path.hasPrefix(root) else { return nil }
    let rest = path.dropFirst(root.count)
    return rest.prefix { $0 != "/" }.description
  }

  /// A path as it is in every run of a seed.
  func told(_ path: String) -> String {
    path.hasPrefix(root) ? String(path.dropFirst(root.count)) : path
  }

  // MARK: Bytes

  mutating func opened(_ path: String, as descriptor: Int32) -> Bool {
    guard let host = host(of: path), let inode = Self.inode(descriptor) else { return false }
    openFiles[descriptor] = OpenFile(host: host, inode: inode)
    return true
  }

  mutating func forget(_ descriptor: Int32) { openFiles[descriptor] = nil }

  /// A number for the file in traces; nil when it is none of the simulation's.
  func ordinal(of descriptor: Int32) -> Int? {
    openFiles[descriptor].map { files[$0.inode]?.ordinal ?? 0 }
  }

  /// Remembers what a write is going to change; returns where it goes, nil for other files.
  mutating func write(_ descriptor: Int32, count: Int, at position: Int64?, ms: Int64) -> Int64? {
    change(descriptor, ms: ms) { size in
      let start = position ?? size
      return (start, count, max(0, min(size, start + Int64(count)) - start))
    }
  }

  mutating func resize(_ descriptor: Int32, to size: Int64, ms: Int64) -> Int64? {
    change(descriptor, ms: ms) { old in (size, 0, max(0, old - size)) }
  }

  private mutating func change(
    _ descriptor: Int32, ms: Int64,
    _ extent: (_ size: Int64) -> (position: Int64, count: Int, overwritten: Int64)
  ) -> Int64? {
    guard let open = openFiles[descriptor] else { return nil }
    modified[open.inode] = ms
    if files[open.inode] == nil {
      // A way to read and write that does not depend on how the process has opened it.
      let own = Glibc.open("/proc/self/fd/\(descriptor)", O_RDWR | O_CLOEXEC)
      precondition(own >= 0, "the journal cannot open a file: \(SystemError("open"))")
      ordinals += 1
      files[open.inode] = FileState(ordinal: ordinals, host: open.host, descriptor: own)
    }
    guard let own = files[open.inode]?.descriptor else { return nil }
    let size = Self.size(own)
    let (position, count, overwritten) = extent(size)
    let old = Self.read(own, at: position, count: Int(overwritten))
    files[open.inode]?.changes.append(
      Change(oldSize: size, position: position, count: count, oldBytes: old))
    return position
  }

  /// Forgets how to undo changes of a file: they are durable.
  mutating func sync(_ descriptor: Int32) {
    guard let open = openFiles[descriptor], let file = files.removeValue(forKey: open.inode) else {
      return
    }
    close(file.descriptor)
  }

  // MARK: Names

  /// A file is about to be opened, and perhaps emptied.
  mutating func willOpen(_ path: String, _ mode: File.Mode, ms: Int64) {
    guard mode.contains(.truncate), !mode.contains(.exclusive), host(of: path) != nil else {
      return
    }
    // Emptied through a descriptor of its own, which sees the change as any other.
    let descriptor = open(path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    if opened(path, as: descriptor) {
      _ = resize(descriptor, to: 0, ms: ms)
      forget(descriptor)
    }
    close(descriptor)
  }

  mutating func created(_ path: String, ms: Int64) {
    guard let inode = Self.inode(at: path) else { return }
    modified[inode] = ms
    // The number of a file that is gone for good: what is known of it is not of this one.
    if let stale = files.removeValue(forKey: inode) { close(stale.descriptor) }
    add(.created(path: path, inode: inode), at: path)
  }

  mutating func createdDirectory(_ path: String) { add(.createdDirectory(path: path), at: path) }

  mutating func willRemoveDirectory(_ path: String) {
    add(.removedDirectory(path: path), at: path)
  }

  mutating func willRename(_ path: String, to newPath: String) {
    guard host(of: path) != nil, let inode = Self.inode(at: path) else { return }
    var replaced: String?
    if Self.inode(at: newPath) != nil {
      let grave = newGrave()
      if link(newPath, grave) == 0 { replaced = grave }
    }
    add(
      .renamed(from: path, to: newPath, inode: inode, replaced: replaced), at: path,
      and: newPath)
  }

  /// Moves a file to where it can be brought back from; returns the `errno`.
  mutating func remove(_ path: String) -> Int32 {
    guard host(of: path) != nil else { return unlink(path) == 0 ? 0 : errno }
    let grave = newGrave()
    if rename(path, grave) != 0 { return errno }
    add(.removed(path: path, kept: grave), at: path)
    return 0
  }

  /// What was done to names in a directory is durable: what it took to undo it goes.
  mutating func syncDirectory(_ path: String) {
    guard let inode = Self.inode(at: path) else { return }
    names.removeAll { entry in
      guard entry.directories.contains(inode) else { return false }
      switch entry.change {
      case .removed(_, let kept): unlink(kept)
      case .renamed(_, _, _, let replaced?): unlink(replaced)
      case .created, .createdDirectory, .renamed, .removedDirectory: break
      }
      return true
    }
  }

  private mutating func add(_ change: NameChange, at path: String, and other: String? = nil) {
    guard let host = host(of: path) else { return }
    let directories = [path, other].compactMap { $0 }.compactMap { path in
      FileSystem.parent(of: path).flatMap { Self.inode(at: $0) }
    }
    names.append(NameEntry(host: host, directories: directories, change: change))
  }

  private mutating func newGrave() -> String {
    graves += 1
    return "\(graveyard)\(graves)"
  }

  // MARK: The kernel's side

  static func inode(at path: String) -> UInt64? {
    var status = stat()
    return lstat(path, &status) == 0 ? UInt64(status.st_ino) : nil
  }

  private static func inode(_ descriptor: Int32) -> UInt64? {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return UInt64(status.st_ino)
  }

  static func size(_ descriptor: Int32) -> Int64 {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? Int64(status.st_size) : 0
  }

  static func read(_ descriptor: Int32, at position: Int64, count: Int) -> [UInt8] {
    guard count > 0 else { return [] }
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = max(0, pread(descriptor, buffer.baseAddress, count, Int(position)))
    }
  }
}
