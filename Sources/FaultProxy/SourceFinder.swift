// Who is at the other end of a connection on this machine?
import Glibc
import Platform

/// Tells which process opened a connection, from the kernel's tables: the socket's inode by its
/// port in `/proc/net/tcp`, and the process that holds a descriptor with that inode.
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

  /// The member that owns the local socket with this port; `stranger` if none does.
  public func source(port: UInt16) -> String {
    guard let inode = inode(port: port) else { return Self.stranger }
    let wanted = "socket:[\(inode)]"
    for member in members() where holds(member.pid, wanted) { return member.name }
    return Self.stranger
  }

  private func inode(port: UInt16) -> String? {
    let digits = String(port, radix: 16, uppercase: true)
    let suffix = ":" + String(repeating: "0", count: 4 - digits.count) + digits
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
      guard let bytes = readAll(table) else { continue }
      for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst() {
        // sl local_address rem_address st queues timer retransmits uid timeout inode …
        let fields = line.split(separator: " ", omittingEmptySubsequences: true)
        guard fields.count > 9, fields[1].hasSuffix(suffix), fields[9] != "0" else { continue }
        return String(fields[9])
      }
    }
    return nil
  }

  private func holds(_ pid: Int32, _ wanted: String) -> Bool {
    let folder = "/proc/\(pid)/fd"
    guard let directory = opendir(folder) else { return false }
    defer { closedir(directory) }
    var target = [CChar](repeating: 0, count: 64)
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      let length = readlink("\(folder)/\(name)", &target, target.count - 1)
      guard length > 0 else { continue }
      let text = target[..<length].map { UInt8(bitPattern: $0) }
      if String(decoding: text, as: UTF8.self) == wanted { return true }
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
