import CPlatform
import Glibc

/// What is done to names rather than to open files.
public enum FileSystem {
  public enum Kind: Sendable { case file, directory, link, other }

  public struct Status: Sendable {
    public var kind: Kind
    /// Bytes.
    public var size: Int64
    /// Milliseconds since 1970.
    public var modifiedMs: Int64
  }

  /// The names in a directory, sorted, without `.` and `..`.
  public static func list(_ path: String) throws(SystemError) -> [String] {
    guard let directory = opendir(path) else { throw SystemError("opendir", on: path) }
    defer { closedir(directory) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(directory) else {
        if errno != 0 { throw SystemError("readdir", on: path) }
        break
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Kind, size and time; nil when there is nothing of that name. Links are followed.
  public static func status(_ path: String) throws(SystemError) -> Status? {
    var status = stat()
    if stat(path, &status) != 0 {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw SystemError("stat", on: path)
    }
    let kind: Kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .directory
      case S_IFLNK: .link
      default: .other
      }
    return Status(kind: kind, size: Int64(status.st_size), modifiedMs: modifiedMs(status))
  }

  private static func modifiedMs(_ status: stat) -> Int64 {
    let inode = UInt64(status.st_ino)
    if let machine = Machines.simulated, let time = machine.modifiedMs(inode: inode) { return time }
    let time = status.st_mtim
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Makes a directory and those above it; fine when it is there.
  public static func createDirectory(
    _ path: String, permissions: UInt32 = 0o755
  ) throws(SystemError) {
    if mkdir(path, permissions) == 0 {
      Machines.simulated?.didCreateDirectory(path)
      return
    }
    if errno == EEXIST {
      if try status(path)?.kind == .directory { return }
      throw SystemError("mkdir", code: EEXIST, on: path)
    }
    guard errno == ENOENT, let parent = self.parent(of: path), parent != path else {
      throw SystemError("mkdir", on: path)
    }
    try createDirectory(parent, permissions: permissions)
    if mkdir(path, permissions) == 0 {
      Machines.simulated?.didCreateDirectory(path)
    } else if errno != EEXIST {
      throw SystemError("mkdir", on: path)
    }
  }

  /// Renames, replacing what has the new name; atomic within a file system. Durable only after
  /// `syncDirectory` of the parent.
  public static func rename(_ path: String, to newPath: String) throws(SystemError) {
    try FileFaults.check(.rename, path)
    if let machine = Machines.simulated { machine.willRename(path, to: newPath) }
    try retrying("rename", on: "\(path) to \(newPath)") { Glibc.rename(path, newPath) }
  }

  /// Removes a file; false when it was not there.
  @discardableResult
  public static func removeFile(_ path: String) throws(SystemError) -> Bool {
    try FileFaults.check(.remove, path)
    let code: Int32 =
      if let machine = Machines.simulated { machine.removeFile(path) } else {
        unlink(path) == 0 ? 0 : errno
      }
    if code == 0 { return true }
    if code == ENOENT { return false }
    throw SystemError("unlink", code: code, on: path)
  }

  /// Removes a file or a directory with everything in it; links are not followed.
  public static func removeTree(_ path: String) throws(SystemError) {
    try FileFaults.check(.remove, path)
    var status = stat()
    if lstat(path, &status) != 0 {
      if errno == ENOENT { return }
      throw SystemError("lstat", on: path)
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      try removeFile(path)
      return
    }
    for name in try list(path) { try removeTree(path + "/" + name) }
    if let machine = Machines.simulated { machine.willRemoveDirectory(path) }
    if rmdir(path) != 0, errno != ENOENT { throw SystemError("rmdir", on: path) }
  }

  /// Makes names created, renamed or removed in a directory durable.
  public static func syncDirectory(_ path: String) throws(SystemError) {
    try FileFaults.check(.sync, path)
    if let machine = Machines.simulated { return machine.syncDirectory(path) }
    let number = try retrying("open", on: path) {
      platform_open(path, O_RDONLY | O_DIRECTORY, 0)
    }
    let directory = FileDescriptor(owning: number)
    try retrying("fsync", on: path) { fsync(directory.number) }
  }

  /// The whole of a file; nil when it is not there.
  public static func readFile(_ path: String) throws(SystemError) -> [UInt8]? {
    do {
      let file = try File(path)
      return try file.read(at: 0, count: Int(clamping: try file.size()))
    } catch {
      if error.isNotFound { return nil }
      throw error
    }
  }

  /// Replaces a file so that a crash leaves the old content or the new, never a mixture: written
  /// beside it under `path.tmp`, flushed, renamed, and the directory flushed.
  public static func replaceFile(_ path: String, with bytes: [UInt8]) throws(SystemError) {
    let temporary = path + ".tmp"
    let file = try File(temporary, [.write, .create, .truncate])
    try file.write(bytes, at: 0)
    try file.sync()
    try rename(temporary, to: path)
    try syncDirectory(parent(of: path) ?? ".")
  }

  /// The directory part of a path; nil for a bare name or the root.
  public static func absolutePath(_ path: String) throws(SystemError) -> String {
    guard let resolved = realpath(path, nil) else { throw SystemError("realpath", on: path) }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  public static func parent(of path: String) -> String? {
    var end = path.utf8.endIndex
    let utf8 = path.utf8
    while end > utf8.startIndex, utf8[utf8.index(before: end)] == UInt8(ascii: "/") {
      end = utf8.index(before: end)
    }
    guard let slash = utf8[..<end].lastIndex(of: UInt8(ascii: "/")) else { return nil }
    return slash == utf8.startIndex ? "/" : String(path[..<slash])
  }

  /// The last part of a path.
  public static func name(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  /// Bytes of the file system that holds `path`: all of it, and what is free for this user.
  public static func space(at path: String) throws(SystemError) -> (total: Int64, free: Int64) {
    if Machines.simulated != nil { return (1 << 40, 1 << 39) }
    var status = statvfs()
    try retrying("statvfs", on: path) { statvfs(path, &status) }
    let block = Int64(status.f_frsize)
    return (Int64(status.f_blocks) * block, Int64(status.f_bavail) * block)
  }
}
