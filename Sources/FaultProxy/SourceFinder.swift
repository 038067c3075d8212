// Who is at the other end of a connection on this machine?
import Glibc
import Platform

/// Tells which process opened a connection, from the kernel's tables: the socket's inode by its
/// addresses, and the process that holds a descriptor with that inode.
///
/// No process needs to be configured for it, so one proxy serves all who come.
public struct SourceFinder: Sendable {
  /// The name by which everybody is known who is no member.
  public static let stranger = "client"
  private let members: @Sendable () -> [(name: String, pid: Int32)]

  /// - Parameter members: the processes that count, at this moment.
  public init(_ members: @escaping @Sendable () -> [(name: String, pid: Int32)]) {
    self.members = members
  }

  /// The member that owns the socket at `peer` which is connected to `local`; `stranger` if none
  /// does.
  public func source(of peer: SocketAddress, at local: SocketAddress) -> String {
    let inode: String
    switch SocketDiagnosis.inode(local: peer, peer: local) {
    case .inode(let number): inode = "\(number)"
    case .missing: return Self.stranger
    case .unavailable:
      guard let found = self.inode(port: peer.port) else { return Self.stranger }
      inode = found
    }
    let wanted = "socket:[\(inode)]"
    for member in members() where holds(member.pid, wanted) { return member.name }
    return Self.stranger
  }

  /// The slow way, for kernels that cannot be asked. A busy machine's table has thousands of lines,
  /// most of them of connections that have ended: the C library looks for the port, and only lines
  /// that have it are taken apart.
  func inode(port: UInt16) -> String? {
    let digits = String(port, radix: 16, uppercase: true)
    let suffix = ":" + String(repeating: "0", count: 4 - digits.count) + digits
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
      guard let bytes = readAll(table) else { continue }
      for line in Self.lines(of: bytes, with: suffix + " ") {
        // sl local_address rem_address st queues timer retransmits uid timeout inode …
        let fields = line.split(separator: " ", omittingEmptySubsequences: true)
        guard fields.count > 9, fields[1].hasSuffix(suffix), fields[9] != "0" else { continue }
        return String(fields[9])
      }
    }
    return nil
  }

  /// The lines that hold a text, once for each time that they do.
  static func lines(of bytes: [UInt8], with text: String) -> [String] {
    var lines: [String] = []
    (bytes + [0]).withUnsafeBytes { all in
      let base = all.assumingMemoryBound(to: CChar.self).baseAddress
      var next = base
      while let base, let from = next, let found = strstr(from, text) {
        let at = UnsafePointer(found) - base
        let start = all[..<at].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let end = all[at...].firstIndex(of: UInt8(ascii: "\n")) ?? all.count - 1
        lines.append(String(decoding: all[start..<end], as: UTF8.self))
        next = UnsafePointer(found) + text.utf8.count
      }
    }
    return lines
  }

  private func holds(_ pid: Int32, _ wanted: String) -> Bool {
    guard let directory = opendir("/proc/\(pid)/fd") else { return false }
    defer { closedir(directory) }
    var target = [CChar](repeating: 0, count: 64)
    while let entry = readdir(directory) {
      let length = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) {
          readlinkat(dirfd(directory), $0, &target, target.count - 1)
        }
      }
      guard length > 0 else { continue }
      target[length] = 0
      if strcmp(target, wanted) == 0 { return true }
    }
    return false
  }

  /// Files in `/proc` have no size: they are read until they end.
  private func readAll(_ path: String) -> [UInt8]? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = fread(&chunk, 1, chunk.count, file)
      if count == 0 { return bytes }
      bytes += chunk[..<count]
    }
  }
}
